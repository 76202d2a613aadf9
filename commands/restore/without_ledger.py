"""Restoring where the ledger is gone or damaged: a file, its digest, and the same care.

Nothing is recorded, and nothing that only the ledger knows is checked; `UNCHECKED` says what. The
rest is as always: the digest before anything is touched, what is there kept under a new name, one
transaction or a rename, never half.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from commands.errors import (
    CorruptBackup,
    EncryptionDiffers,
    InvalidArgument,
    OtherSource,
    TargetExists,
)
from commands.restore.plan import cipher_refusal, is_no_database
from commands.restore.pre_restore import keep_sidecars
from commands.restore.scratch import clear_scratch, scratch_folder
from commands.site.store import SIDECARS, STAGING, make_folder
from commands.sqlite.connections import open_immutable, open_live
from commands.sqlite.content import content_problem
from commands.sqlite.errors import (
    DamagedDatabase,
    FileInTheWay,
    NoTables,
    NotADatabase,
    shown,
    translated,
)
from commands.sqlite.files import copy_file, remove_database, sha256_of
from commands.sqlite.inspection import table_names
from commands.sqlite.permissions import belongings_of, set_wal
from commands.sqlite.publishing import publish_new
from commands.sqlite.raw_files import copy_raw
from commands.sqlite.replacement import needs_replacement, replace_target
from commands.sqlite.restore_into import restore_into
from commands.sqlite.snapshot import SnapshotLimits, take_snapshot
from commands.sqlite.space import RESERVE_BYTES, free_bytes, require_space
from projections.folds.backup_names import free_name, pre_restore_backup_name

if TYPE_CHECKING:
    from datetime import datetime

    from commands.site.configuration import Configuration
    from commands.sqlite.files import Progress
    from ledger.vocabulary import RestoreMode

UNCHECKED = (
    "whether this is the digest that was recorded: it is the one that you gave",
    "which database the backup was made of, when, and by whom",
    "whether it was found damaged, or replaced, since it was made",
    "what was erased on request since it was made, and comes back with it",
)
"""What a restore with the ledger knows, and this one does not."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class BareRestore:
    """What would be done, or was. `reason`: why it is not a transaction. `kept`: once it is."""

    backup: Path
    sha256: str
    target: Path
    mode: RestoreMode
    reason: str | None
    keeps_current: bool
    kept: Path | None = None


def plan_without_ledger(
    configuration: Configuration, file: Path, sha256: str | None, to: Path | None, *, force: bool
) -> BareRestore:
    """Check the file, and say what would be done; nothing is touched.

    Raises:
        InvalidArgument: the digest is none.
        CorruptBackup: the file has another digest, or is not a sound database.
        OtherSource: it has no table in common with the database, and `force` was not given.
        TargetExists: `to` exists.
        SQLiteFileError: a file is missing or cannot be read.
    """
    backup = _found(configuration, file)
    digest = _require_digest(backup, sha256)
    problem = content_problem(backup, keys=configuration.keys)
    if problem is not None:
        raise CorruptBackup(f"{shown(backup)} is damaged ({problem}); nothing was touched")
    if to is not None:
        target = to.absolute()
        if os.path.lexists(target):
            raise TargetExists(f"{shown(target)} already exists; give a path that does not")
        return BareRestore(backup, digest, target, "elsewhere", None, keeps_current=False)
    target = Path(os.path.realpath(configuration.database_path))
    reason = _why_replaced(configuration, target, backup)
    mode: RestoreMode = "transaction" if reason is None else "replace"
    keeps = reason != "missing" and target.stat().st_size > 0
    plan = BareRestore(backup, digest, target, mode, reason, keeps_current=keeps)
    if reason == "cipher" and not force:
        raise EncryptionDiffers(cipher_refusal(backup, shown(backup), target))
    if keeps and reason != "damaged" and not force:
        _require_common_table(configuration, plan)
    return plan


def restore_without_ledger(
    configuration: Configuration,
    plan: BareRestore,
    now: datetime,
    on_progress: Progress | None = None,
) -> BareRestore:
    """Carry out a plan; what the database holds now is kept first.

    Raises:
        CorruptBackup: the file changed since it was planned.
        DatabaseBusy: the database stayed locked; it is untouched.
        SQLiteFileError: a step failed.
    """
    wait_seconds = configuration.restore_wait_seconds
    for folder in (plan.target.parent, configuration.backups_folder / STAGING):
        clear_scratch(folder)
    if plan.target.parent.is_dir():
        needed = plan.backup.stat().st_size + RESERVE_BYTES
        require_space(plan.target.parent, needed, "restore", free_bytes)
    kept = _keep_current(configuration, plan, now) if plan.keeps_current else None
    if plan.mode == "transaction":
        restore_into(
            plan.target,
            plan.backup,
            wait_seconds=wait_seconds,
            on_progress=on_progress,
            keys=configuration.keys,
        )
    else:
        _put_in_place(configuration, plan, on_progress)
    return BareRestore(
        plan.backup, plan.sha256, plan.target, plan.mode, plan.reason, plan.keeps_current, kept
    )


def _put_in_place(
    configuration: Configuration, plan: BareRestore, on_progress: Progress | None
) -> None:
    wait_seconds, keys = configuration.restore_wait_seconds, configuration.keys
    with scratch_folder(plan.target.parent) as scratch:
        staged = scratch / "restored"
        if copy_file(plan.backup, staged, on_progress) != plan.sha256:
            raise CorruptBackup(
                f"{shown(plan.backup)} changed while it was read; nothing was touched"
            )
        if plan.mode == "elsewhere":
            try:
                publish_new(staged, plan.target)
            except FileInTheWay as error:
                raise TargetExists(
                    f"{shown(plan.target)} already exists; nothing was touched"
                ) from error
            return
        keeps_log = belongings_of(plan.target).is_wal
        replace_target(plan.target, staged, wait_seconds=wait_seconds, keys=keys)
        if keeps_log:
            set_wal(plan.target, keys)


def _found(configuration: Configuration, file: Path) -> Path:
    """A path, or the name of a file in the backups folder."""
    if file.parent != Path() or file.exists() or not configuration.names_a_folder:
        return file.absolute()
    for name in (file.name, f"{file.name}.db"):
        path = configuration.backups_folder / name
        if path.exists():
            return path
    return file.absolute()


def _require_digest(backup: Path, sha256: str | None) -> str:
    found = sha256_of(backup)
    if sha256 is None:
        raise InvalidArgument(
            "--without-ledger needs --sha256 HEX, the digest that was recorded: of a copy of the "
            "ledger, of `audit log` as it was printed or exported, or of `ledger salvage --records`"
        )
    if not _SHA256.fullmatch(sha256):
        raise InvalidArgument(f"{sha256!r} is not a SHA-256; give 64 hex digits")
    if found != sha256.lower():
        raise CorruptBackup(
            f"{shown(backup)} has the SHA-256 {found}, not the one given; nothing was touched"
        )
    return found


def _why_replaced(configuration: Configuration, target: Path, backup: Path) -> str | None:
    if is_no_database(target):
        return "damaged"
    wait_seconds = configuration.restore_wait_seconds
    return needs_replacement(target, backup, wait_seconds=wait_seconds, keys=configuration.keys)


def _require_common_table(configuration: Configuration, plan: BareRestore) -> None:
    wait_seconds, keys = configuration.restore_wait_seconds, configuration.keys
    try:
        with closing(open_immutable(plan.backup, keys)) as connection:
            theirs = table_names(connection)
        with closing(open_live(plan.target, wait_seconds, keys=keys)) as connection:
            ours = table_names(connection)
    except sqlite3.Error as error:
        raise translated(error, plan.target) from error
    if ours and not ours & theirs:
        raise OtherSource(
            f"{shown(plan.backup)} has no table in common with {shown(plan.target)}; nothing was "
            "touched. Choose another backup, look at it with --to PATH, or restore it all the "
            "same with --force"
        )


def _keep_current(configuration: Configuration, plan: BareRestore, now: datetime) -> Path:
    """What the database holds now, as a protected backup that is adopted once a ledger is there."""
    folder = configuration.backups_folder
    make_folder(folder)
    make_folder(folder / STAGING)
    with scratch_folder(folder / STAGING) as scratch:
        staged = scratch / "current"
        kept_sidecars = _stage_current(configuration, plan, staged)
        while True:
            name = free_name(pre_restore_backup_name(now), lambda each: _is_taken(folder / each))
            try:
                publish_new(staged, folder / name)
                break
            except FileInTheWay:
                continue
    if kept_sidecars:
        keep_sidecars(plan.target, folder / SIDECARS / name)
    return folder / name


def _stage_current(configuration: Configuration, plan: BareRestore, staged: Path) -> bool:
    """A verified snapshot; of a damaged database its bytes, whose sidecars are to be kept."""
    if plan.reason != "damaged":
        try:
            wait_seconds = configuration.snapshot_wait_seconds
            limits = SnapshotLimits(keys=configuration.keys)
            take_snapshot(plan.target, staged, wait_seconds=wait_seconds, limits=limits)
        except (DamagedDatabase, NotADatabase, NoTables):
            remove_database(staged)
        else:
            return False
    copy_raw(plan.target, staged)
    return True


def _is_taken(path: Path) -> bool:
    return os.path.lexists(path)
