"""One row an event, for filters. The record itself stays in the ledger."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from projections.tables import columns as tables
from projections.tables.bulk import BulkWriter
from projections.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from ledger.append.ledger import RecordedEvent


class AuditTrail(Projection):
    name = "audit_trail"
    version = 1
    key = "position"
    table = tables.audit_trail

    @cached_property
    def _writer(self) -> BulkWriter:
        return BulkWriter(self.table)

    def apply(self, connection: Connection, batch: Sequence[RecordedEvent]) -> bool:
        self._writer.write(connection, [_values(each) for each in batch])
        return bool(batch)


def _values(recorded: RecordedEvent) -> tuple[Any, ...]:
    """In the order of the table's columns."""
    event = recorded.event
    return (
        recorded.position,
        event.timestamp,
        recorded.recorded_at,
        event.event_id,
        event.event_type,
        event.stream,
        event.stream_version,
        None if event.user_id is None else int(event.user_id),
        event.resource_type,
        event.resource_id,
        event.action,
        event.actor.kind,
        event.actor.id,
        event.success,
        event.error_message,
    )
