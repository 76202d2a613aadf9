"""One row an event, for filters. The record itself stays in the ledger."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete

from ledger.append.batched import batched
from projections.tables import columns as tables
from projections.tables.bulk import writer_of
from projections.tables.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from ledger.append.ledger import RecordedEvent
    from projections.tables.bulk import BulkWriter
    from projections.tables.projection import ReadStreams


class AuditTrail(Projection):
    name = "audit_trail"
    version = 2
    key = "position"
    table = tables.audit_trail

    @cached_property
    def _writer(self) -> BulkWriter:
        return writer_of(self.table, ())

    def apply(self, connection: Connection, batch: Sequence[RecordedEvent]) -> bool:
        self._writer.write(connection, [_values(each) for each in batch])
        return bool(batch)

    def fold_again(
        self, connection: Connection, erased: Sequence[RecordedEvent], read: ReadStreams
    ) -> None:
        del read
        for some in batched([each.position for each in erased]):
            connection.execute(delete(self.table).where(self.table.c.position.in_(some)))
        self.apply(connection, erased)

    def row_of(self, recorded: RecordedEvent) -> int:
        return recorded.position


def _values(recorded: RecordedEvent) -> tuple[Any, ...]:
    """In the order of the table's columns. Of an erased record the event's id is gone, too."""
    event = recorded.event
    return (
        recorded.position,
        event.timestamp,
        recorded.recorded_at,
        None if recorded.is_erased else event.event_id,
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
