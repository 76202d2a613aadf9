"""What a restore would do, and what is looked at before it touches anything."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from commands.backups.find import find_backup
from commands.errors import (
    BackupNotFound,
    EncryptionDiffers,
    FlawedBackup,
    OtherSource,
    TargetExists,
)
from commands.sqlite.connections import is_encrypted, open_immutable, open_live, sidecar
from commands.sqlite.errors import shown, translated
from commands.sqlite.inspection import table_names
from commands.sqlite.raw_files import can_be_written
from commands.sqlite.replacement import (
    needs_replacement,
)
from commands.sqlite.space import RESERVE_BYTES, on_one_file_system, require_space
from ledger.append.database import translated_errors
from ledger.vocabulary import BackupStatus, RestoreMode
from projections.queries.erasures import erasures

if TYPE_CHECKING:
    from commands.site.site import Site
    from projections.folds.backup import Backup
    from projections.queries.erasures import Erasure


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore would do. `reason`: why the mode is not a transaction.

    `needed_bytes`: at most, on the target's file system. `source`: the path of the database that
    the backup was made of; None where that is not known, as of an adopted file. `foreign`: why the
    backup is another database's, and refused unless forced; None where it is not. `content`: a file
    that was fetched from an off-site copy.
    """

    backup: Backup
    target: Path
    mode: RestoreMode
    reason: str | None
    keeps_current: bool
    needed_bytes: int = 0
    source: str | None = None
    foreign: str | None = None
    content: Path | None = None
    erasures: tuple[Erasure, ...] = ()
    """What was erased since the backup was made; restoring can bring it back into the target."""

    def content_in(self, site: Site) -> Path:
        """The file with the backup's bytes: its own, or one that was fetched from a copy."""
        return self.content or site.store.path(self.backup.filename)

    @property
    def erased_since(self) -> str | None:
        """The requests to repeat in the restored database, in a sentence; None where none came."""
        tickets = dict.fromkeys(each.ticket for each in self.erasures)
        if not tickets:
            return None
        return (
            f"Erased since this backup was made, and perhaps back with it: {', '.join(tickets)}; "
            "erase it in the restored database again"
        )

    @property
    def is_foreign(self) -> bool:
        return self.foreign is not None

    @property
    def warning(self) -> str | None:
        """What is known against restoring this backup; None where nothing is."""
        if self.backup.status == BackupStatus.CORRUPT:
            return "this backup was found damaged, so restoring it is refused; choose another one"
        if self.is_flawed:
            return "its database was already damaged when it was backed up"
        if self.backup.is_collapse:
            return "it holds far fewer rows than the backup before it; is that the state you want?"
        return None

    @property
    def is_flawed(self) -> bool:
        return self.backup.condition == "flawed"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A backup's file that was fetched from an off-site copy, and found to be what was recorded."""

    backup: Backup
    path: Path


def plan_restore(
    site: Site, filename: str, to: Path | None = None, fetched: Fetched | None = None
) -> RestorePlan:
    """What restoring would do; changes nothing.

    Raises:
        BackupNotFound: there is none of this name, or its file is missing.
        TargetExists: `to` exists.
    """
    if fetched is None:
        backup, content = find_backup(site, filename), None
        if backup.status == BackupStatus.MISSING or not site.store.has(filename):
            raise BackupNotFound(
                f"the file of backup {filename!r} is missing; choose another backup, or fetch an "
                "off-site copy with --identity FILE"
            )
    else:
        backup, content = fetched.backup, fetched.path
    if to is not None:
        target = to.absolute()
        if os.path.lexists(target):
            raise TargetExists(f"{shown(target)} already exists; give a path that does not")
        plan = RestorePlan(backup, target, "elsewhere", None, keeps_current=False, content=content)
        plan = _sourced(site, plan)
        return replace(plan, needed_bytes=needed_bytes(site, plan))
    target = Path(os.path.realpath(site.database))
    reason = _why_replaced(site, target, content or site.store.path(filename))
    mode: RestoreMode = "transaction" if reason is None else "replace"
    keeps = reason != "missing" and target.stat().st_size > 0
    plan = RestorePlan(backup, target, mode, reason, keeps_current=keeps, content=content)
    plan = _sourced(site, plan)
    return replace(plan, needed_bytes=needed_bytes(site, plan), foreign=_why_foreign(site, plan))


def _sourced(site: Site, plan: RestorePlan) -> RestorePlan:
    source = site.folder_source.book.path_of(plan.backup.source)
    with translated_errors(site.ledger.engine), site.ledger.engine.connect() as connection:
        since = erasures(connection, after=plan.backup.position)
    return replace(plan, source=source, erasures=tuple(since))


def _why_replaced(site: Site, target: Path, content: Path) -> str | None:
    """Why a transaction cannot do it; None where it can.

    What is plainly no database is never opened by SQLite, which would take away its sidecars.
    """
    if is_no_database(target):
        return "damaged"
    wait_seconds = site.configuration.restore_wait_seconds
    return needs_replacement(target, content, wait_seconds=wait_seconds, keys=site.keys)


def is_no_database(target: Path) -> bool:
    """Whether a file with something in it is neither a SQLite database nor an encrypted one."""
    if not (target.is_file() and target.stat().st_size):
        return False
    return not (can_be_written(target) or is_encrypted(target))


def cipher_refusal(content: Path, name: str, target: Path) -> str:
    """Why a backup is not put in the place of a database, of which only one is encrypted."""
    if is_encrypted(content):
        what = f"backup {name} is encrypted and {shown(target)} is not"
    else:
        what = f"backup {name} is not encrypted and {shown(target)} is"
    return (
        f"{what}; nothing was touched. Choose another backup, look at it with --to PATH, or put it "
        "in the database's place all the same with --force"
    )


def sketch(site: Site, backup: Backup, to: Path | None) -> RestorePlan:
    """What is known before anything was looked at, for recording a failure."""
    if to is not None:
        return RestorePlan(backup, to.absolute(), "elsewhere", None, keeps_current=False)
    target = Path(os.path.realpath(site.database))
    return RestorePlan(backup, target, "transaction", None, keeps_current=False)


def _why_foreign(site: Site, plan: RestorePlan) -> str | None:
    """Why a backup is another database's; None where it is of this one.

    One that says what it was made of is judged by that alone: it may be from before any migration.
    An adopted file is foreign where it has no table in common with a target that can be read.

    Raises:
        SQLiteFileError: one of the files cannot be read; the target is busy.
    """
    if plan.backup.source is not None:
        if plan.backup.source == site.known_source_id():
            return None
        return f"it was made of {shown(plan.source)}"
    if not plan.keeps_current or plan.reason == "damaged":
        return None  # nothing to compare it with
    path = plan.content_in(site)
    with closing(open_immutable(path, site.keys)) as connection:
        theirs = _tables(connection, path)
    wait_seconds = site.configuration.restore_wait_seconds
    with closing(open_live(plan.target, wait_seconds, keys=site.keys)) as connection:
        ours = _tables(connection, plan.target)
    return "it has no table in common with it" if ours and not ours & theirs else None


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
        OtherSource: the backup is foreign, and `force` was not given.
        FlawedBackup: the database was not sound when it was made, and `force` was not given.
        NotEnoughSpace: it would not fit.
    """
    if plan.is_foreign and not force:
        raise OtherSource(
            f"backup {plan.backup.filename!r} is not one of {shown(plan.target)}: {plan.foreign}; "
            "nothing was touched. Choose another backup, look at it with --to PATH, or restore it "
            "all the same with --force"
        )
    if plan.reason == "cipher" and not force:
        name, content = repr(plan.backup.filename), plan.content_in(site)
        raise EncryptionDiffers(cipher_refusal(content, name, plan.target))
    if plan.is_flawed and plan.mode != "elsewhere" and not force:
        raise FlawedBackup(
            f"backup {plan.backup.filename!r} is flawed: its database had an integrity finding "
            f"({shown(plan.backup.findings[0] if plan.backup.findings else 'see backup show')}); "
            "nothing was touched. Choose a good backup, look at it with --to PATH, or restore it "
            "all the same with --force"
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
    try:
        return table_names(connection)
    except sqlite3.Error as error:
        raise translated(error, path) from error
