"""Incidents among a ledger's events: each record is looked at once, and few are decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.notifications.incident import Incident
from commands.notifications.incidents import INCIDENT_TYPES, incident_of
from ledger.append.ledger import Ledger, RecordedEvent
from ledger.records.record import decode_event
from ledger.vocabulary import BACKUP

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from projections.folds.backup import Backup


class IncidentScan:
    """What came after a position that goes ahead now and then. `topics`: those wanted."""

    def __init__(
        self,
        ledger: Ledger,
        topics: Collection[str],
        backup_of: Callable[[str], Backup | None],
    ) -> None:
        self._ledger = ledger
        self._backup_of = backup_of
        self._topics = topics
        self._found: list[tuple[int, Incident]] = []
        self._position: int | None = None

    def after(self, position: int) -> tuple[list[Incident], int]:
        """Incidents after a position, and the last position that was looked at."""
        begin = position if self._position is None else max(position, self._position)
        self._position = begin
        for place, incident in self._between(begin, None):
            self._found.append((place, incident))
        self._found = [each for each in self._found if each[0] > position]
        return [incident for _place, incident in self._found], self._position

    def between(self, first: int, last: int) -> list[Incident]:
        """Those at first <= position <= last, looked at again."""
        known = self._position
        found = [incident for _place, incident in self._between(first - 1, last)]
        self._position = known
        return found

    def _between(self, after: int, up_to: int | None) -> list[tuple[int, Incident]]:
        found = []
        for row in self._ledger.records(after=after, up_to=up_to):
            self._position = row.position
            if row.event_type not in INCIDENT_TYPES:
                continue
            recorded = RecordedEvent(row.position, row.recorded_at, decode_event(row.record))
            is_of_backup = recorded.event.stream.startswith(f"{BACKUP}/")
            backup = self._backup_of(recorded.event.resource_id) if is_of_backup else None
            incident = incident_of(recorded, backup)
            if incident is not None and incident.topic in self._topics:
                found.append((row.position, incident))
        return found
