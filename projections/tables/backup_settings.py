"""Each user's settings and next run: the table that the former service's users know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from ledger.vocabulary import schedule_stream
from projections.folds.schedule import Schedule, evolve_schedule
from projections.tables import columns as tables
from projections.tables.projection import KeyedProjection

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ledger.append.ledger import RecordedEvent
    from ledger.records.record import Event


class BackupSettings(KeyedProjection[Schedule]):
    name = "backup_settings"
    version = 3
    table = tables.backup_settings
    key = "user_id"
    state_class = Schedule

    def __init__(self) -> None:
        self._newest_id: int | None = None

    def apply(self, connection: Connection, batch: Any) -> bool:
        self._newest_id = None
        return super().apply(connection, batch)

    def key_of(self, event: Event) -> int | None:
        return int(event.resource_id) if event.stream.startswith("schedule/") else None

    def streams_of(self, state: Schedule) -> tuple[str]:
        return (schedule_stream(state.user_id),)

    def evolve(self, state: Schedule | None, event: Event) -> Schedule | None:
        return evolve_schedule(state, event)

    def born(self, connection: Connection, state: Schedule, recorded: RecordedEvent) -> None:
        """Ids are the order of creation, so that every rebuild gives the same ones."""
        del recorded
        if self._newest_id is None:
            newest = select(func.max(self.table.c.id))
            self._newest_id = connection.execute(newest).scalar_one() or 0
        self._newest_id += 1
        state.id = self._newest_id

    def born_again(self, state: Schedule, before: Schedule, recorded: RecordedEvent) -> None:
        del recorded
        state.id = before.id
