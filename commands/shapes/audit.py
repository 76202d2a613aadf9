"""The history and the verdict on it, as they are shown. Records stand as they were hashed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict

from commands.shapes.shape import Shape
from ledger.vocabulary import ActorKind


class ActorShape(Shape):
    """Who acted."""

    id: str
    kind: ActorKind


class AuditRecord(Shape):
    """A record: the JSON whose bytes are hashed. `details`: the event's own fields."""

    action: str
    actor: ActorShape
    causation_id: str | None
    correlation_id: str
    details: dict[str, Any]
    error_message: str | None
    event_id: str | None
    """Null where the record was erased."""
    event_type: str
    resource_id: str
    resource_type: str
    schema_version: int
    stream: str
    stream_version: int
    success: bool
    timestamp: datetime
    user_id: str | None


class AuditEvent(Shape):
    """A record and its place. `erased`: what stands there is what was kept of an erased record."""

    model_config = ConfigDict(json_schema_extra={"required": ["position", "record"]})

    position: int
    record: AuditRecord
    erased: bool = False


class AuditPage(Shape):
    """A page of the history. `size`: of the whole ledger, in records.

    `next_cursor`: null at the end. `looked_at`: how many records a search for text looked through.
    """

    model_config = ConfigDict(
        json_schema_extra={"required": ["events", "count", "next_cursor", "size"]}
    )

    events: list[AuditEvent]
    count: int
    next_cursor: int | None
    size: int
    looked_at: int = 0


class LedgerFinding(Shape):
    """What does not fit. `position`: null where it is not about one record."""

    position: int | None
    problem: str
    expected: str
    found: str


class LedgerVerdict(Shape):
    """Whether the history is whole. `root`: of the recomputed tree, hex."""

    ok: bool
    size: int
    root: str
    findings: list[LedgerFinding]
    notes: list[str]
    not_checked: list[str]
    verdict: str


class ExportedEvidence(Shape):
    """A bundle that was written, fetched as the job's file. Positions are 0 where it is empty."""

    records: int
    first_position: int
    last_position: int
    checkpoint_size: int
    public_key: str
