"""Holding the folder against the ledger: adopt what is unknown, report what is gone."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.backups.staging import staged_of
from commands.backups.unrecorded import is_in_use, unrecorded_files
from commands.errors import VerificationFailed
from commands.recovery.recover import Recovered, recover
from commands.sqlite.connections import is_encrypted, is_encrypted_backup
from commands.sqlite.content import content_problem
from commands.sqlite.errors import SQLiteFileError
from commands.sqlite.files import sha256_of
from commands.verification.verify import look_closely, record_verification
from ledger.append.leases_and_names import name_owner
from ledger.append.ledger import Draft
from ledger.clock import from_microseconds
from ledger.errors import NameTaken
from ledger.events.catalog import BackupFound, BackupMissing
from ledger.vocabulary import BackupStatus, backup_stream
from projections.folds.backup_names import classify
from projections.queries.catalog import backups_of_store
from projections.queries.locked import backup_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from commands.site.site import Site
    from commands.site.store import FoundFile
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.backup import Backup

logger = logging.getLogger("backup_ledger.reconcile")
_OPEN = (
    BackupStatus.OK,
    BackupStatus.CORRUPT,
    BackupStatus.MISSING,
    BackupStatus.DELETING,
)


@dataclass(slots=True)
class Reconciliation:
    """What was found and done; file names."""

    adopted: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)
    recovered: Recovered = field(default_factory=Recovered)


def reconcile(
    site: Site, context: Context, on_progress: Callable[[int, int], None] | None = None
) -> Reconciliation:
    """Recover, then make the catalog and the folder agree; everything is recorded.

    Raises:
        StoreUnknown: the folder cannot be recognized; then nothing counts as missing.
    """
    store = site.store
    store.require_there()
    result = Reconciliation(recovered=recover(site))
    candidates, unreadable = store.list_candidates()
    result.left_alone += unreadable
    # Listing order: the folder first, the ledger after it, so that nothing new looks missing.
    with site.read_models.reading() as connection:
        known = {
            each.filename: each for each in backups_of_store(connection, store.store_id, _OPEN)
        }
    unknown = [each for each in candidates if each.filename not in known]
    for number, found in enumerate(unknown):
        if on_progress is not None:
            on_progress(number, len(unknown))
        _adopt(site, context, found, result)
    there = {each.filename for each in candidates}
    _check_known(site, context, known.values(), there, result)
    return result


class NewFiles:
    """What stands in a folder without an entry, for a process that looks again and again.

    A file that was left alone is not looked at again before it changes.
    """

    def __init__(self) -> None:
        self._left_alone: set[FoundFile] = set()

    def adopt(self, site: Site, context: Context) -> Reconciliation:
        """Adopt what is new since the last look.

        Raises:
            StoreUnknown: the folder cannot be recognized.
        """
        result = Reconciliation()
        site.store.require_there()
        for each in unrecorded_files(site):
            if each.found in self._left_alone:
                continue
            left = len(result.left_alone)
            _adopt(site, context, each.found, result)
            if len(result.left_alone) > left:
                self._left_alone.add(each.found)
        return result


def _adopt(site: Site, context: Context, found: FoundFile, result: Reconciliation) -> None:
    """Record a file that stands in the folder without an entry."""
    if is_in_use(site, found):
        return
    path = site.store.path(found.filename)
    try:
        digest = sha256_of(path)
        problem = _problem(site, path) if found.size else "empty"
    except (OSError, SQLiteFileError) as error:
        logger.warning("%r cannot be read and is left alone: %s", found.filename, error)
        result.left_alone.append(found.filename)
        return
    if site.store.look_at(found.filename) != found:
        result.left_alone.append(found.filename)  # still being written: next time
        return
    _make_private(site, found.filename)  # before the append: a kill between must not matter
    kind = classify(found.filename)
    details = BackupFound(
        store=site.store.store_id,
        filename=found.filename,
        kind=kind.kind,
        size=found.size,
        sha256=digest,
        created_at=from_microseconds(found.mtime_ns // 1_000),
        status="ok" if problem is None else "corrupt",
    )

    def decide(locked: LockedHead) -> list[Draft]:
        if name_owner(locked.connection, details.store, details.filename) is not None:
            return []  # it was being published just now
        return [Draft(backup_stream(str(uuid4())), details, kind.user_id)]

    try:
        recorded = site.ledger.decide(context, decide)
    except NameTaken:
        return
    if recorded:
        site.notify(recorded)
        result.adopted.append(found.filename)


def _problem(site: Site, path: Path) -> str | None:
    """What is wrong with a file. Where nothing speaks for encryption, random bytes are damage.

    Raises:
        KeyMissing, WrongDatabaseKey: it is encrypted, and cannot be judged.
    """
    keys = site.keys if is_encrypted_backup(path) and _may_have_keys(site) else None
    return content_problem(path, keys=keys)


def _may_have_keys(site: Site) -> bool:
    has_database = site.configuration.database is not None
    return site.keys.is_configured or (has_database and is_encrypted(site.database))


def _check_known(
    site: Site,
    context: Context,
    known: Iterable[Backup],
    there: set[str],
    result: Reconciliation,
) -> None:
    for backup in known:
        if backup.filename in there:
            if backup.status == BackupStatus.MISSING:
                _welcome_back(site, context, backup, result)
        elif backup.is_present and site.store.look_at(backup.filename) is None:
            _report_missing(site, context, backup, result)


def _report_missing(site: Site, context: Context, backup: Backup, result: Reconciliation) -> None:
    def decide(locked: LockedHead) -> list[Draft]:
        now_found = backup_locked(locked, backup.backup_id)
        # Staged path first, then final: between the two it may be published, never lost.
        staged = staged_of(site, backup)
        site.store.require_there()
        if staged or site.store.look_at(backup.filename) is not None:
            return []
        if now_found is None or not now_found.is_present:
            return []
        message = f"the file {backup.filename!r} is gone from {site.store.folder}"
        details = BackupMissing(store=backup.store, filename=backup.filename)
        return [
            Draft(backup_stream(backup.backup_id), details, backup.user_id, error_message=message)
        ]

    recorded = site.ledger.decide(context, decide)
    if recorded:
        site.notify(recorded)
        result.missing.append(backup.filename)


def _welcome_back(site: Site, context: Context, backup: Backup, result: Reconciliation) -> None:
    """A missing file is there again: it is good if its content is what was recorded."""
    try:
        found = look_closely(site, backup, "digest")
    except VerificationFailed as error:
        logger.warning("%s", error)
        result.left_alone.append(backup.filename)
        return
    if found.is_gone:
        return
    record_verification(site, context, [backup], found, "command")
    (result.back if found.is_good else result.left_alone).append(backup.filename)


def _make_private(site: Site, filename: str) -> None:
    """The former service left its files world-readable."""
    try:
        site.store.path(filename).chmod(0o600, follow_symlinks=True)
    except OSError as error:
        logger.warning("%r could not be made private: %s", filename, error)
