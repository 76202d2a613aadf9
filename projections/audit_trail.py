"""One row an event, for filters. The record itself stays in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert

from projections import tables
from projections.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from ledger.application import RecordedEvent


class AuditTrail(Projection):
    name = "audit_trail"
    version = 1
    key = "position"
    table = tables.audit_trail

    def apply(self, connection: Connection, batch: Sequence[RecordedEvent]) -> None:
        if batch:
            connection.execute(insert(self.table), [_row(each) for each in batch])


def _row(recorded: RecordedEvent) -> dict[str, object]:
    event = recorded.event
    return {
        "position": recorded.position,
        "timestamp": event.timestamp,
        "recorded_at": recorded.recorded_at,
        "event_id": event.event_id,
        "event_type": event.event_type,
        "stream": event.stream,
        "stream_version": event.stream_version,
        "user_id": None if event.user_id is None else int(event.user_id),
        "resource_type": event.resource_type,
        "resource_id": event.resource_id,
        "action": event.action,
        "actor_kind": event.actor.kind,
        "actor_id": event.actor.id,
        "success": event.success,
        "error_message": event.error_message,
    }
