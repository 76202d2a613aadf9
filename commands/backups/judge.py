"""What is said of a new backup beside its content: its condition, and how it compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.backups.collapse import (
    Content,
    SourceStory,
    collapse_between,
    content_of,
)
from commands.site.sources import path_text
from ledger.events.catalog import BackupCreated
from ledger.events.restoring import RestoreCompleted
from ledger.records.record import cut_text
from ledger.vocabulary import backup_stream
from projections.queries.audit import AuditFilter, newest_matching
from projections.queries.source_backups import (
    last_accepted_of_source,
    last_backup_of_source,
    last_comparable_of_source,
    last_whole_of_source,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from commands.site.site import Site
    from commands.sqlite.snapshot import Snapshot
    from ledger.vocabulary import Condition
    from projections.folds.backup import Backup

RESTORES_LOOKED_AT = 20
MAX_NOTES = 20
MAX_NOTE_BYTES = 300
"""Of warnings, of findings and of unchecked tables each."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What goes into the event.

    `collapsed_from`: the backup before it that holds much more. `local_day`: the day in the time
    zone of the schedule that asked for it.
    """

    warnings: tuple[str, ...]
    condition: Condition = "ok"
    findings: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    collapsed_from: str | None = None
    local_day: str | None = None


def judge(site: Site, snapshot: Snapshot, source: str, *, at_head: bool = True) -> Judgement:
    """The snapshot's condition, and whether the database collapsed since its last good backup."""
    with site.read_models.reading(at_head=at_head) as connection:
        before = last_comparable_of_source(connection, source)
        accepted = last_accepted_of_source(connection, source) if snapshot.findings else None
    created = None if before is None else created_of(site, before)
    collapse = []
    if created is not None and not snapshot.is_sealed:
        collapse = collapse_between(content_of(created), _content_of_snapshot(snapshot))
    cipher = [] if created is None else cipher_changed(created, snapshot.cipher)
    # Encrypted on purpose, or destroyed? What was plain stays until somebody says so.
    is_doubtful = bool(collapse) or (bool(cipher) and snapshot.is_sealed)
    findings = cut_notes(snapshot.findings)
    known = accepted is not None and accepted.findings == list(findings)
    flawed = () if known else _flawed(findings)
    return Judgement(
        warnings=cut_notes((*cipher, *collapse, *flawed, *snapshot.warnings)),
        condition=_condition(snapshot),
        findings=findings,
        unchecked=cut_notes(snapshot.unchecked),
        collapsed_from=before.backup_id if before is not None and is_doubtful else None,
    )


def cipher_changed(before: BackupCreated, cipher: str | None) -> list[str]:
    """How the database's encryption differs from that of its last good backup, in a sentence."""
    if cipher == before.cipher:
        return []
    if cipher is None:
        return [f"the database is not encrypted any more; it was in {before.filename}"]
    return [f"the database is encrypted now; it was not in {before.filename}"]


def cut_notes(texts: Sequence[str]) -> tuple[str, ...]:
    """Warnings, findings or tables as a record has room for them."""
    return tuple(cut_text(each, MAX_NOTE_BYTES) for each in texts[:MAX_NOTES])


def created_of(site: Site, backup: Backup) -> BackupCreated | None:
    """What was recorded when the backup was made; None for an adopted one."""
    for event in site.ledger.stream(backup_stream(backup.backup_id)):
        return event.details if isinstance(event.details, BackupCreated) else None
    return None


def story_of_source(site: Site, connection: Connection, source: str) -> SourceStory:
    """Whether a source stands in a collapse, as a read model has it."""
    newest = last_backup_of_source(connection, source)
    if newest is None or not newest.is_collapse:
        return SourceStory(newest, None)
    whole = last_whole_of_source(connection, source)
    return SourceStory(newest, whole, _restored_at(site, connection))


def _restored_at(site: Site, connection: Connection) -> int:
    """The position of the last restore into this site's database."""
    if site.configuration.database is None:
        return 0
    target = path_text(site.database)
    wanted = AuditFilter(event_type=RestoreCompleted.event_type)
    for position in reversed(newest_matching(connection, wanted, RESTORES_LOOKED_AT)):
        for recorded in site.ledger.recorded(after=position - 1, up_to=position):
            details = recorded.event.details
            if (
                isinstance(details, RestoreCompleted)
                and details.mode != "elsewhere"
                and details.target == target
            ):
                return position
    return 0


def _condition(snapshot: Snapshot) -> Condition:
    if snapshot.findings:
        return "flawed"
    return "unchecked" if snapshot.unchecked else "ok"


def _content_of_snapshot(snapshot: Snapshot) -> Content:
    unchecked = set(snapshot.unchecked)
    return Content(
        filename="",
        size=snapshot.size,
        tables={each.name.lower(): each.name for each in snapshot.tables},
        table_count=snapshot.table_count,
        row_count=snapshot.row_count,
        lists_all=True,
        is_counted=all(each.rows or each.name not in unchecked for each in snapshot.tables),
    )


def _flawed(findings: Sequence[str]) -> tuple[str, ...]:
    if not findings:
        return ()
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return (f"the database has an integrity finding: {findings[0]}{more}",)
