"""Finishing what a killed process began: on every start, and by `reconcile`.

Only the work of an owner whose lock could be taken is judged, and the ledger is read after
taking it. Every step may be repeated.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from commands.backups.delete import Deletion, outcome_drafts, unlink_files
from commands.backups.staging import publish_all
from commands.offsite.abandoned import abandon_dead_copies
from commands.recovery.expired_claims import resolve_claims_of
from commands.recovery.interrupted_restore import clear_left_over_files, finish_interrupted_restores
from commands.restore.scratch import PREFIX as SCRATCH
from commands.site.actors import SYSTEM
from commands.site.owner import LOCK_NAME, dead_owner, is_alive
from commands.sqlite.files import remove_database
from ledger.append.ledger import Draft
from ledger.events.catalog import DeletionStarted
from ledger.vocabulary import BackupStatus, backup_stream
from projections.queries.catalog import backup_with_id, backups_of_store, backups_sharing
from projections.queries.locked import backup_locked

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from sqlalchemy import Connection

    from commands.site.site import Site
    from ledger.append.recorder import LockedHead
    from projections.folds.backup import Backup

logger = logging.getLogger("backup_ledger.recovery")


@dataclass(slots=True)
class Recovered:
    """What recovery did; file names and ids."""

    published: list[str] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    restores: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.published or self.discarded or self.deleted or self.restores)


def recover(site: Site) -> Recovered:
    """Publish, remove, delete and judge what dead owners left."""
    recovered = Recovered()
    staging = site.store.staging
    folders = sorted(staging.iterdir()) if staging.is_dir() else []
    finish_interrupted_restores(site, recovered.restores)
    recovered.discarded += clear_left_over_files(site)
    for folder in folders:
        if not folder.is_dir() or folder.name.startswith(SCRATCH):
            continue
        try:
            _recover_folder(site, folder, recovered)
        except OSError as error:  # one folder's trouble is no reason to leave the others
            logger.warning("%s could not be recovered: %s", folder, error)
    finish_open_deletions(site, recovered)
    return recovered


def _recover_folder(site: Site, folder: Path, recovered: Recovered) -> None:
    if folder.name == site.instance:
        _clear_staging(site, folder, recovered, site.owner.at_work_on)
        return
    with dead_owner(folder) as is_dead:
        if is_dead:
            _clear_staging(site, folder, recovered)
            resolve_claims_of(site, site.context(SYSTEM), folder.name)
            abandon_dead_copies(site, site.context(SYSTEM), folder.name)
            _remove_folder(folder)


def finish_open_deletions(site: Site, recovered: Recovered) -> None:
    """Unlink what was announced by an owner who is gone, or by ourselves without success."""
    with site.read_models.reading() as connection:
        store = site.store.store_id
        open_ones = backups_of_store(connection, store, (BackupStatus.DELETING,))
    for backup in open_ones:
        started = _open_deletion(site, backup)
        if started is None:
            continue
        if started.owner != site.instance and is_alive(site.store.staging, started.owner):
            continue
        _finish_deletion(site, backup, started, recovered)


def _finish_deletion(
    site: Site, backup: Backup, started: DeletionStarted, recovered: Recovered
) -> None:
    deletion = Deletion(backup, started.reason, started.forced, started.rule)
    if unlink_files(site, [deletion]):
        return  # it said why in the log, and is tried again next time

    def decide(locked: LockedHead) -> list[Draft]:
        now_found = backup_locked(locked, backup.backup_id)
        if now_found is None or now_found.status != BackupStatus.DELETING:
            return []
        return outcome_drafts([deletion], [])

    recorded = site.ledger.decide(site.context(SYSTEM), decide)
    if recorded:
        site.notify(recorded)
        recovered.deleted.append(backup.filename)


def _open_deletion(site: Site, backup: Backup) -> DeletionStarted | None:
    """The announcement that has no outcome yet, from the ledger itself."""
    started: DeletionStarted | None = None
    for event in site.ledger.stream(backup_stream(backup.backup_id)):
        if isinstance(event.details, DeletionStarted):
            started = event.details
    return started


def _clear_staging(
    site: Site, folder: Path, recovered: Recovered, at_work_on: Collection[str] = ()
) -> None:
    """A staging folder where nobody works: publish what is in the ledger, remove the rest."""
    for staged in sorted(folder.iterdir()):
        if (
            staged.name == LOCK_NAME
            or staged.is_dir()
            or staged.name.partition(".")[0] in at_work_on
        ):
            continue
        with site.read_models.reading() as connection:
            backup = backup_with_id(connection, staged.name)
            entries = [] if backup is None else _of_the_same_snapshot(connection, backup)
        wanted = [each for each in entries if each.is_present or each.status == "missing"]
        if not wanted:
            recovered.discarded.append(staged.name)
            site.store.remove_sidecars(staged.name)
            remove_database(staged)
            continue
        failed = publish_all(site, staged, [entry.filename for entry in wanted])
        recovered.published += [entry.filename for entry in wanted if entry.filename not in failed]


def _of_the_same_snapshot(connection: Connection, staged: Backup) -> list[Backup]:
    """The entries that wait for a staged file, which has the id of the first of them."""
    sharing = backups_sharing(connection, staged.shared_with or staged.backup_id)
    return [each for each in sharing if each.position >= staged.position]


def _remove_folder(folder: Path) -> None:
    (folder / LOCK_NAME).unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError as error:
        logger.warning("%s is left: %s", folder, error)
