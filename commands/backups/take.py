"""Taking a backup by hand: stage, append, publish. The append is the commit point."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from commands.backups.hooks import facts_of, failure_facts, run_hook
from commands.backups.judge import Judgement, judge
from commands.backups.staging import Staged, append_or_discard, publish_recorded, stage_snapshot
from commands.backups.unchanged import share_with_last
from commands.errors import BackupNameTaken, message_of
from commands.sqlite.snapshot import Snapshot
from ledger.append.leases_and_names import name_owner
from ledger.append.ledger import Draft
from ledger.errors import NameTaken
from ledger.events.catalog import BackupCreated, BackupNotCreated, TableRows
from ledger.records.record import cut_text
from ledger.vocabulary import BackupKind, backup_stream
from projections.folds.backup_names import (
    free_name,
    manual_backup_name,
    person_backup_name,
    pre_migration_backup_name,
    pre_restore_backup_name,
)

if TYPE_CHECKING:
    from commands.site.site import Site
    from commands.sqlite.files import Progress
    from ledger.append.ledger import Context, RecordedEvent
    from ledger.append.recorder import LockedHead
    from projections.folds.backup import Backup

MAX_TABLES = 200
"""Tables listed in an event, first by name; the counts are of all."""
MAX_TABLES_BYTES = 40_000
"""Names may be long; with the rest, the record must stay under its limit."""


def take_backup(
    site: Site,
    context: Context,
    *,
    filename: str | None = None,
    kind: BackupKind = BackupKind.MANUAL,
    user_id: int | None = None,
    allow_scheduled_name: bool = False,
    on_progress: Progress | None = None,
) -> Backup:
    """Take a verified backup of the database now.

    `filename`: a plain name, `.db` added if missing; None for one with the time in it.
    `allow_scheduled_name`: it may be one that a scheduled backup could have.
    `user_id`: whose backup it is; None for nobody's.

    Raises:
        InvalidBackupName, BackupNameTaken: the name; nothing was done.
        SQLiteFileError: the database cannot be backed up; recorded, nothing is left behind.
    """
    name = None
    if filename is not None:
        name = person_backup_name(filename, allow_scheduled=allow_scheduled_name)
    backup_id = str(uuid4())
    run_hook(site, context, "hook_before", {"KIND": kind.value, "USERS": user_id or ""})
    with site.owner.staging(backup_id) as path:
        try:
            if name is not None:
                _refuse_taken(site, name)
            staged = stage_snapshot(site, path, on_progress)
            recorded = append_or_discard(
                site, path, lambda: _append(site, context, staged, kind, name, user_id)
            )
        except Exception as error:
            stream = backup_stream(backup_id)
            _record_failure(site, context, stream, kind, name, user_id, error)
            facts = failure_facts(kind.value, [user_id], error)
            run_hook(site, context, "hook_failure", facts)
            raise
        backup = publish_recorded(site, path, recorded)
    run_hook(site, context, "hook_after", facts_of([backup], site))
    return backup


def created_details(
    site: Site,
    snapshot: Snapshot,
    *,
    source: str,
    filename: str,
    kind: BackupKind,
    run_id: str | None,
    shared_with: str | None,
    judged: Judgement,
) -> BackupCreated:
    """The facts of a backup."""
    return BackupCreated(
        run_id=run_id,
        store=site.store.store_id,
        source=source,
        filename=filename,
        kind=kind.value,
        size=snapshot.size,
        sha256=snapshot.sha256,
        schema_fingerprint=snapshot.schema_fingerprint,
        table_count=snapshot.table_count,
        row_count=snapshot.row_count,
        tables=_listed_tables(snapshot),
        engine=snapshot.engine,
        engine_reason=cut_text(snapshot.engine_reason, 500),
        shared_with=shared_with,
        warnings=list(judged.warnings),
        condition=judged.condition,
        findings=list(judged.findings),
        unchecked=list(judged.unchecked),
        cipher=snapshot.cipher,
        local_day=judged.local_day,
        collapsed_from=judged.collapsed_from,
    )


def unused_name(site: Site, locked: LockedHead, wanted: str) -> str:
    """The wanted name, or with _2, _3 ..., that neither ledger nor folder has."""
    store = site.store

    def is_taken(name: str) -> bool:
        return name_owner(locked.connection, store.store_id, name) is not None or store.has(name)

    return free_name(wanted, is_taken)


def _append(
    site: Site,
    context: Context,
    staged: Staged,
    kind: BackupKind,
    name: str | None,
    user_id: int | None,
) -> list[RecordedEvent]:
    source = site.source_id(context)
    judged = judge(site, staged.snapshot, source)
    may_share = kind is BackupKind.MANUAL  # what is protected stands by itself
    shared = share_with_last(site, staged, source, user_id) if may_share else None

    def decide(locked: LockedHead) -> list[Draft]:
        if name is not None and site.store.has(name):
            raise _taken(name)
        details = created_details(
            site,
            staged.snapshot,
            source=source,
            filename=name or unused_name(site, locked, _automatic_name(site, context, kind)),
            kind=kind,
            run_id=None,
            shared_with=shared,
            judged=judged,
        )
        return [Draft(backup_stream(staged.backup_id), details, user_id)]

    try:
        return site.ledger.decide(context, decide)
    except NameTaken as error:
        raise _taken(error.filename) from error


def _automatic_name(site: Site, context: Context, kind: BackupKind) -> str:
    if kind is BackupKind.PRE_MIGRATION:
        return pre_migration_backup_name(context.now)
    if kind is BackupKind.PRE_RESTORE:
        return pre_restore_backup_name(context.now)
    return manual_backup_name(site.database.stem, context.now)


def _refuse_taken(site: Site, name: str) -> None:
    with site.ledger.engine.connect() as connection:
        owner = name_owner(connection, site.store.store_id, name)
    if owner is not None or site.store.has(name):
        raise _taken(name)


def _taken(name: str) -> BackupNameTaken:
    return BackupNameTaken(f"the name {name!r} is in use; choose another name")


def _record_failure(
    site: Site,
    context: Context,
    stream: str,
    kind: BackupKind,
    name: str | None,
    user_id: int | None,
    error: Exception,
) -> None:
    details = BackupNotCreated(
        store=site.store.store_id, filename=name, kind=kind.value, error_type=type(error).__name__
    )
    draft = Draft(stream, details, user_id, error_message=message_of(error))
    site.notify(site.ledger.append(context, draft))


def _listed_tables(snapshot: Snapshot) -> list[TableRows]:
    listed: list[TableRows] = []
    size = 0
    for table in sorted(snapshot.tables, key=lambda each: each.name)[:MAX_TABLES]:
        name = cut_text(table.name, 1_000)
        size += 6 * len(name.encode()) + 40  # a control character takes six bytes in a record
        if size > MAX_TABLES_BYTES:
            break
        listed.append(TableRows(name=name, rows=table.rows))
    return listed
