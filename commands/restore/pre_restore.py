"""Keeping what a restore is about to replace: always under a new name, never overwritten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from commands.backups.staging import append_or_discard, publish_recorded
from commands.backups.take import take_backup, unused_name
from commands.sqlite.connections import SIDECAR_SUFFIXES, sidecar
from commands.sqlite.content import content_problem
from commands.sqlite.errors import (
    DamagedDatabase,
    KeyMissing,
    NoTables,
    NotADatabase,
    WrongDatabaseKey,
)
from commands.sqlite.files import flush_directory
from commands.sqlite.raw_files import copy_raw
from ledger.append.ledger import Draft
from ledger.events.catalog import BackupFound
from ledger.vocabulary import BackupKind, backup_stream
from projections.folds.backup_names import pre_restore_backup_name

if TYPE_CHECKING:
    from pathlib import Path

    from commands.site.site import Site
    from commands.sqlite.files import Progress
    from ledger.append.ledger import Context, RecordedEvent
    from ledger.append.recorder import LockedHead
    from projections.folds.backup import Backup


def take_pre_restore(
    site: Site, context: Context, target: Path, on_progress: Progress | None = None
) -> Backup:
    """A verified backup of the current content; where it is damaged, its bytes as they are."""
    try:
        return take_backup(site, context, kind=BackupKind.PRE_RESTORE, on_progress=on_progress)
    except (DamagedDatabase, NotADatabase, NoTables):
        return keep_damaged(site, context, target)


def keep_damaged(site: Site, context: Context, target: Path) -> Backup:
    """Keep a database that no snapshot can be taken of, with its sidecars beside it.

    The copying is done by another process: this one may have the database open.
    """
    with site.owner.staging(str(uuid4())) as staged:
        recorded = append_or_discard(
            site, staged, lambda: _copy_and_append(site, context, target, staged)
        )
        return publish_recorded(site, staged, recorded)


def _copy_and_append(
    site: Site, context: Context, target: Path, staged: Path
) -> list[RecordedEvent]:
    backup_id = staged.name
    digest, size = copy_raw(target, staged)
    keep_sidecars(target, site.store.sidecar_folder(backup_id))
    flush_directory(staged.parent)
    status: Literal["ok", "corrupt"] = "ok" if _is_sound(site, staged) else "corrupt"

    def decide(locked: LockedHead) -> list[Draft]:
        details = BackupFound(
            store=site.store.store_id,
            filename=unused_name(site, locked, pre_restore_backup_name(context.now)),
            kind=BackupKind.PRE_RESTORE.value,
            size=size,
            sha256=digest,
            created_at=context.now,
            status=status,
        )
        return [Draft(backup_stream(backup_id), details)]

    return site.ledger.decide(context, decide)


def _is_sound(site: Site, staged: Path) -> bool:
    try:
        return content_problem(staged, keys=site.keys) is None
    except (KeyMissing, WrongDatabaseKey):
        return False  # nobody can say that it is


def keep_sidecars(target: Path, folder: Path) -> None:
    """Copy what stands beside a damaged database into a new folder, if anything does."""
    present = [suffix for suffix in SIDECAR_SUFFIXES if sidecar(target, suffix).exists()]
    if not present:
        return
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700)
    for suffix in present:
        copy_raw(sidecar(target, suffix), folder / f"database{suffix}")
    flush_directory(folder)
    flush_directory(folder.parent)
