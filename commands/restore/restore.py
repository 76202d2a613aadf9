"""Restoring a backup: into the live database in one step, in its place, or elsewhere."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from commands.backups.find import find_backup
from commands.errors import (
    BackupNotFound,
    CorruptBackup,
    InvalidArgument,
    TargetExists,
    message_of,
)
from commands.restore.plan import (
    Fetched,
    RestorePlan,
    plan_restore,
    require_restorable,
    sketch,
)
from commands.restore.pre_restore import keep_damaged, take_pre_restore
from commands.restore.tables import TableOutcome, TablesWanted, restore_tables
from commands.sqlite.errors import DatabaseBusy, FileInTheWay, shown
from commands.sqlite.files import copy_file
from commands.sqlite.permissions import Belongings, belongings_of, journal_mode, set_wal
from commands.sqlite.publishing import publish_new
from commands.sqlite.raw_files import hash_raw
from commands.sqlite.replacement import (
    clear_sidecars,
    rename_into_place,
    sole_access,
)
from commands.sqlite.restore_into import restore_into, schema_version
from commands.verification.verify import verify_backup
from ledger.append.ledger import Draft
from ledger.events.restoring import (
    RestoreCompleted,
    RestoreFailed,
    RestoreStarted,
    TableRestored,
)
from ledger.vocabulary import BackupStatus, restore_stream
from projections.queries.locked import backup_locked

if TYPE_CHECKING:
    from commands.site.site import Site
    from commands.sqlite.files import Progress
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.backup import Backup

STAGED_PREFIX = ".backup-ledger-restore-"
logger = logging.getLogger("backup_ledger.restore")


@dataclass(frozen=True, slots=True)
class RestoreOutcome:
    """What was done. `arrived`: of a new file in the database's place, what it was given.

    `tables`: which were put back; none where it was the whole backup.
    """

    plan: RestorePlan
    pre_restore: Backup | None
    arrived: Arrived | None = None
    tables: list[TableOutcome] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Arrived:
    """Owner, group and mode of the file now, and how it keeps its journal; None where unknown."""

    belongings: Belongings
    journal_mode: str | None


@dataclass(frozen=True, slots=True)
class _Act:
    """One restore while it runs."""

    site: Site
    context: Context
    plan: RestorePlan
    restore_id: str
    forced: bool
    tables: TablesWanted | None = None
    pre_restore: Backup | None = None

    @property
    def stream(self) -> str:
        return restore_stream(self.restore_id)

    @property
    def facts(self) -> dict[str, Any]:
        """The fields that every event of a restore has."""
        return {
            "backup_id": self.plan.backup.backup_id,
            "pre_restore_backup_id": self.pre_restore and self.pre_restore.backup_id,
            "mode": self.plan.mode,
            "target": os.fsencode(self.plan.target).decode("utf-8", "backslashreplace"),
            "sha256": self.plan.backup.sha256,
            "forced": self.forced,
        }


def restore_backup(
    site: Site,
    context: Context,
    filename: str,
    *,
    to: Path | None = None,
    force: bool = False,
    fetched: Fetched | None = None,
    tables: TablesWanted | None = None,
    on_progress: Progress | None = None,
) -> RestoreOutcome:
    """Restore a backup; the current content is kept first, as a protected backup.

    `fetched`: its file, which was fetched from an off-site copy; its own is not looked at then.
    `tables`: only these are put back, in one transaction.

    Raises:
        BackupNotFound, TargetExists: as `plan_restore`.
        CorruptBackup: its content is not what was recorded; nothing was touched.
        OtherSource: it is of another database, and `force` was not given.
        NotEnoughSpace: it would not fit; nothing was touched.
        DatabaseBusy: the database stayed locked; it is untouched.
    """
    backup = find_backup(site, filename) if fetched is None else fetched.backup
    found = None
    if fetched is None:
        found = verify_backup(site, context, backup, "digest", trigger="restore")
    act = _Act(site, context, sketch(site, backup, to), str(uuid4()), force, tables)
    try:
        if found is not None and not found.is_good:
            raise CorruptBackup(
                f"backup {filename!r} is damaged ({found.problem}); nothing was touched, "
                "choose another backup, or fetch an off-site copy with --identity FILE"
            )
        act = replace(act, plan=for_tables(plan_restore(site, filename, to, fetched), tables))
        require_restorable(site, act.plan, force=force)
        site.hold_owner_lock()  # its lock is held until the outcome is recorded
        if act.plan.keeps_current:
            act = replace(act, pre_restore=_keep_current(act, on_progress))
        belongings, restored = None, []
        if tables is not None:
            restored = _restore_tables(act, tables)
        elif act.plan.mode == "elsewhere":
            _restore_elsewhere(act, on_progress)
        elif act.plan.mode == "replace":
            belongings = _restore_by_replacement(act, on_progress)
        else:
            _restore_by_transaction(act, on_progress)
    except Exception as error:
        _record_failure(act, error)
        raise
    done = RestoreCompleted(**act.facts) if tables is None else None
    _record(act, *(_table_events(act, restored) if done is None else [done]))
    arrived = None if belongings is None else _arrived(act, belongings)
    return RestoreOutcome(act.plan, act.pre_restore, arrived, restored)


def for_tables(plan: RestorePlan, tables: TablesWanted | None) -> RestorePlan:
    """A plan for some tables: pages of another size are no matter then.

    Raises:
        InvalidArgument: there is no sound database that they could be put into.
    """
    if tables is None or plan.mode == "transaction":
        return plan
    if plan.mode == "replace" and plan.reason == "page_size":
        return replace(plan, mode="transaction", reason=None)
    reason = "--to writes a whole backup" if plan.reason is None else f"it is {plan.reason}"
    raise InvalidArgument(
        f"tables cannot be put back into {shown(plan.target)} ({reason}); restore the whole backup"
    )


def _arrived(act: _Act, wanted: Belongings) -> Arrived:
    """After the restore was recorded: the log again, and what the file really has now."""
    target, keys = act.plan.target, act.site.keys
    is_wal = wanted.is_wal and set_wal(target, keys)
    found = belongings_of(target, is_wal=is_wal)
    return Arrived(replace(found, because=wanted.because), journal_mode(target, keys))


def staged_beside(target: Path, restore_id: str) -> Path:
    """Where a restored file is made before it takes its name: on the same file system."""
    return target.parent / f"{STAGED_PREFIX}{restore_id}"


def _keep_current(act: _Act, on_progress: Progress | None) -> Backup:
    if act.plan.reason == "damaged":
        return keep_damaged(act.site, act.context, act.plan.target)
    return take_pre_restore(act.site, act.context, act.plan.target, on_progress)


def _restore_by_transaction(act: _Act, on_progress: Progress | None) -> None:
    _record_start(act, schema_version(act.plan.target, act.site.keys), None)
    restore_into(
        act.plan.target,
        act.plan.content_in(act.site),
        wait_seconds=act.site.configuration.restore_wait_seconds,
        on_progress=on_progress,
        keys=act.site.keys,
    )


def _restore_tables(act: _Act, tables: TablesWanted) -> list[TableOutcome]:
    _record_start(act, schema_version(act.plan.target, act.site.keys), None)
    return restore_tables(
        act.plan.target,
        act.plan.content_in(act.site),
        tables,
        act.site.configuration.restore_wait_seconds,
        act.site.keys,
    )


def _table_events(act: _Act, restored: list[TableOutcome]) -> list[TableRestored]:
    return [
        TableRestored(
            backup_id=act.plan.backup.backup_id,
            table=each.table,
            mode=act.tables.mode if act.tables else "in_place",
            rows_added=each.rows_added,
            rows_changed=each.rows_changed,
            rows_removed=each.rows_removed,
        )
        for each in restored
    ]


def _restore_by_replacement(act: _Act, on_progress: Progress | None) -> Belongings:
    target = act.plan.target
    staged = staged_beside(target, act.restore_id)
    with sole_access(target, act.site.configuration.restore_wait_seconds, act.site.keys):
        before = hash_raw(target) if target.exists() else None
        # Before anything is made beside the target, so that recovery knows of it.
        _record_start(act, None, before)
        try:
            _copy_checked(act, staged, on_progress)
            belongings = belongings_of(target, is_wal=_keeps_log(act))
            clear_sidecars(target)
            rename_into_place(staged, target, belongings)
        finally:
            _remove_staged(staged)
    return belongings


def _keeps_log(act: _Act) -> bool:
    """Whether the database replaced is known to keep a write-ahead log."""
    if act.plan.reason == "cipher":
        return journal_mode(act.plan.target, act.site.keys) == "wal"
    return act.plan.reason == "page_size"


def _restore_elsewhere(act: _Act, on_progress: Progress | None) -> None:
    target = act.plan.target
    staged = staged_beside(target, act.restore_id)
    _record_start(act, None, None)
    try:
        _copy_checked(act, staged, on_progress)
        publish_new(staged, target)
    except FileInTheWay as error:
        raise TargetExists(f"{shown(target)} already exists; give a path that does not") from error
    finally:
        _remove_staged(staged)


def _remove_staged(staged: Path) -> None:
    """Whatever went wrong before is what a person must hear of, and this beside it."""
    try:
        staged.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s could not be removed (%s); remove it", shown(staged), error.strerror)


def _copy_checked(act: _Act, staged: Path, on_progress: Progress | None) -> None:
    """Copy the backup; what arrived must be what was recorded."""
    digest = copy_file(act.plan.content_in(act.site), staged, on_progress)
    if digest != act.plan.backup.sha256:
        raise CorruptBackup(
            f"backup {act.plan.backup.filename!r} changed while it was read; nothing was touched"
        )


def _record_start(act: _Act, version: int | None, target_sha256: str | None) -> None:
    details = RestoreStarted(
        **act.facts,
        owner=act.site.owner.name,
        target_schema_version=version,
        target_sha256=target_sha256,
        tables=list(act.tables.names) if act.tables else None,
    )

    def decide(locked: LockedHead) -> list[Draft]:
        backup = backup_locked(locked, act.plan.backup.backup_id)
        is_usable = backup is not None and (
            act.plan.content is not None or backup.status == BackupStatus.OK
        )
        if not is_usable:
            status = "unknown" if backup is None else backup.status
            raise BackupNotFound(f"backup {act.plan.backup.filename!r} is {status} meanwhile")
        return [Draft(act.stream, details, act.plan.backup.user_id)]

    act.site.notify(act.site.ledger.decide(act.context, decide))


def _record_failure(act: _Act, error: Exception) -> None:
    kind = "busy" if isinstance(error, DatabaseBusy) else type(error).__name__
    details = RestoreFailed(**act.facts, error_type=kind)
    _record(act, details, message=message_of(error))


def _record(
    act: _Act,
    *details: TableRestored | RestoreCompleted | RestoreFailed,
    message: str | None = None,
) -> None:
    owner = act.plan.backup.user_id
    drafts = [Draft(act.stream, each, owner, error_message=message) for each in details]
    act.site.notify(act.site.ledger.append(act.context, *drafts))
