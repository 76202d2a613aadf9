"""What is looked at before a restore touches anything: whether it fits, and whose backup it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from commands.disk_space import RESERVE_BYTES, on_one_file_system, require_space
from commands.errors import OtherApplication
from commands.sqlite_connections import open_immutable, open_live, sidecar
from commands.sqlite_errors import shown, translated
from commands.sqlite_inspection import application_tables
from ledger.events.catalog import BackupCreated
from ledger.vocabulary import backup_stream

if TYPE_CHECKING:
    from pathlib import Path

    from commands.restore_backup import RestorePlan
    from commands.site import Site
    from projections.backup import Backup


def is_foreign(site: Site, backup: Backup, target: Path) -> bool:
    """Whether a backup is another application's: not made of this database, no table in common.

    A backup of this database may be from before any migration. The target can be read.

    Raises:
        SQLiteFileError: one of the files cannot be read; the target is busy.
    """
    made = site.ledger.stream(backup_stream(backup.backup_id))[0].details
    if isinstance(made, BackupCreated) and made.source == site.known_source_id():
        return False
    path = site.store.path(backup.filename)
    with closing(open_immutable(path)) as connection:
        theirs = _tables(connection, path)
    with closing(open_live(target, site.configuration.restore_wait_seconds)) as connection:
        ours = _tables(connection, target)
    return bool(ours) and not ours & theirs


def needed_bytes(site: Site, plan: RestorePlan) -> int:
    """What a restore takes at most on the target's file system, until it is over.

    In a transaction the new content stands in the log before it is in the database; in
    rollback-journal mode the old one stands in the journal. What is kept first counts as well
    where the backups are on the same file system; elsewhere the snapshot asks for itself.
    """
    size, target = plan.backup.size, plan.target
    needed = size + RESERVE_BYTES
    if not target.is_file():
        return needed
    before = target.stat().st_size
    if plan.mode == "transaction":
        needed = max(size + size // 16, before) + max(0, size - before) + RESERVE_BYTES
    if plan.keeps_current and on_one_file_system(target.parent, site.store.folder):
        log = sidecar(target, "-wal")
        needed += before + 2 * (log.stat().st_size if log.exists() else 0)
    return needed


def require_restorable(site: Site, plan: RestorePlan, *, force: bool) -> None:
    """See that a plan may be carried out; nothing was touched yet.

    Raises:
        OtherApplication: the backup is foreign, and `force` was not given.
        NotEnoughSpace: it would not fit.
    """
    if plan.is_foreign and not force:
        raise OtherApplication(
            f"backup {plan.backup.filename!r} has no table in common with {shown(plan.target)}, "
            "so it is another application's; nothing was touched, choose another backup, "
            "look at it with --to PATH, or restore it all the same with --force"
        )
    if plan.target.parent.is_dir():
        require_space(
            plan.target.parent,
            plan.needed_bytes,
            "restore",
            site.free_bytes,
            remedy="free some, or restore elsewhere with --to PATH",
        )


def _tables(connection: sqlite3.Connection, path: Path) -> set[str]:
    """Names without case, as SQLite compares them."""
    try:
        return {name.lower() for name in application_tables(connection)}
    except sqlite3.Error as error:
        raise translated(error, path) from error
