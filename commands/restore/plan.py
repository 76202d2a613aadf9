"""What a restore would do, and what is looked at before it touches anything."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from commands.backups.find import find_backup
from commands.errors import BackupNotFound, OtherApplication, TargetExists
from commands.sqlite.connections import open_immutable, open_live, sidecar
from commands.sqlite.errors import shown, translated
from commands.sqlite.inspection import application_tables
from commands.sqlite.raw_files import is_sqlite
from commands.sqlite.replacement import (
    needs_replacement,
)
from commands.sqlite.space import RESERVE_BYTES, on_one_file_system, require_space
from ledger.events.catalog import BackupCreated
from ledger.vocabulary import BackupStatus, RestoreMode, backup_stream

if TYPE_CHECKING:
    from commands.site.site import Site
    from projections.folds.backup import Backup


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore would do. `reason`: why the mode is not a transaction.

    `needed_bytes`: at most, on the target's file system. `is_foreign`: it shares no table with
    the target and is refused, unless forced.
    """

    backup: Backup
    target: Path
    mode: RestoreMode
    reason: str | None
    keeps_current: bool
    needed_bytes: int = 0
    is_foreign: bool = False


def plan_restore(site: Site, filename: str, to: Path | None = None) -> RestorePlan:
    """What restoring would do; changes nothing.

    Raises:
        BackupNotFound: there is none of this name, or its file is missing.
        TargetExists: `to` exists.
    """
    backup = find_backup(site, filename)
    if backup.status == BackupStatus.MISSING or not site.store.has(filename):
        raise BackupNotFound(f"the file of backup {filename!r} is missing; choose another backup")
    if to is not None:
        target = to.absolute()
        if os.path.lexists(target):
            raise TargetExists(f"{shown(target)} exists already; give a path that does not")
        plan = RestorePlan(backup, target, "elsewhere", None, keeps_current=False)
        return replace(plan, needed_bytes=needed_bytes(site, plan))
    target = Path(os.path.realpath(site.database))
    reason = _why_replaced(site, target, filename)
    mode: RestoreMode = "transaction" if reason is None else "replace"
    keeps = reason != "missing" and target.stat().st_size > 0
    plan = RestorePlan(backup, target, mode, reason, keeps_current=keeps)
    # A target that SQLite cannot read has nothing to compare the backup with.
    foreign = keeps and reason != "damaged" and is_foreign(site, backup, target)
    return replace(plan, needed_bytes=needed_bytes(site, plan), is_foreign=foreign)


def _why_replaced(site: Site, target: Path, filename: str) -> str | None:
    """Why a transaction cannot do it; None where it can.

    What is plainly no database is never opened by SQLite, which would take away its sidecars.
    """
    if target.is_file() and target.stat().st_size and not is_sqlite(target):
        return "damaged"
    wait_seconds = site.configuration.restore_wait_seconds
    return needs_replacement(target, site.store.path(filename), wait_seconds=wait_seconds)


def _sketch(site: Site, backup: Backup, to: Path | None) -> RestorePlan:
    """What is known before anything was looked at, for recording a failure."""
    if to is not None:
        return RestorePlan(backup, to.absolute(), "elsewhere", None, keeps_current=False)
    target = Path(os.path.realpath(site.database))
    return RestorePlan(backup, target, "transaction", None, keeps_current=False)


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
