"""What a restore's events add up to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.events.restoring import RestoreStarted
from ledger.records.record import Event


@dataclass(slots=True)
class Restore:
    """One restore. It is open until an outcome is recorded."""

    restore_id: str
    event_id: str
    correlation_id: str
    started: RestoreStarted
    started_at: datetime
    user_id: int | None
    is_open: bool = True


def evolve_restore(restore: Restore | None, event: Event) -> Restore | None:
    """Fold one event of a `restore/` stream."""
    if isinstance(event.details, RestoreStarted):
        return Restore(
            restore_id=event.resource_id,
            event_id=event.event_id,
            correlation_id=event.correlation_id,
            started=event.details,
            started_at=event.timestamp,
            user_id=None if event.user_id is None else int(event.user_id),
        )
    if restore is not None:
        restore.is_open = False
    return restore
