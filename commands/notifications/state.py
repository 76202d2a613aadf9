"""What has been told already, and what still has to be: folded from the ledger's own events.

The ledger is the queue. `notification_queued` claims a range of positions, or another try, under
the head lock; whoever appended it sends. So of many schedulers one sends, and a kill between the
claim and its outcome leaves something that the next one finds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ledger.events.housekeeping import (
    NotificationFailed,
    NotificationQueued,
    NotificationSent,
)

if TYPE_CHECKING:
    from ledger.records.record import Event

BEGINNING = "beginning"
INCIDENTS = "incidents"
DIGEST = "digest"
OVERDUE = "overdue"
LOW_SPACE = "low_space"
TEST = "test"

RETRY_DELAYS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))
"""After the first try, the second, and so on: five tries in all."""

SENDER_GONE = timedelta(minutes=5)
"""A try without an outcome for this long has lost its sender."""


@dataclass(slots=True)
class Notification:
    """One message, however often it was tried. Times are aware UTC."""

    notification_id: str
    topic: str
    first_position: int
    last_position: int
    count: int
    first_queued_at: datetime
    tried_at: datetime
    attempts: int = 1
    failed_at: datetime | None = None
    is_sent: bool = False
    failed_targets: tuple[str, ...] = ()
    """Who did not take the last try, by name; none where that is not known."""

    def is_to_be_tried(self, now: datetime) -> bool:
        """Whether it is time for another try."""
        if self.is_sent or self.topic == BEGINNING or self.attempts > len(RETRY_DELAYS):
            return False
        if self.failed_at is None:
            return now >= self.tried_at + SENDER_GONE
        return now >= self.failed_at + RETRY_DELAYS[self.attempts - 1]


@dataclass(slots=True)
class NotificationState:
    """All messages so far. `cursor`: the last position whose incidents have been told."""

    cursor: int | None = None
    open: dict[str, Notification] = field(default_factory=dict)
    newest: dict[str, datetime] = field(default_factory=dict)
    """Topic -> when a message about it was last queued."""

    def fold(self, event: Event) -> None:
        seen = event.details
        if isinstance(seen, NotificationQueued):
            self._queued(seen, event.timestamp)
        elif isinstance(seen, NotificationSent):
            self.open.pop(seen.notification_id, None)
        elif isinstance(seen, NotificationFailed) and seen.notification_id in self.open:
            failed = self.open[seen.notification_id]
            failed.failed_at = event.timestamp
            failed.failed_targets = tuple(seen.failed_targets)
            if failed.attempts > len(RETRY_DELAYS):
                del self.open[seen.notification_id]

    def to_be_tried(self, now: datetime) -> list[Notification]:
        """Messages whose time has come again, oldest first."""
        return [each for each in self.open.values() if each.is_to_be_tried(now)]

    def _queued(self, seen: NotificationQueued, at: datetime) -> None:
        known = self.open.get(seen.notification_id)
        if known is not None:
            known.attempts += 1
            known.tried_at = at
            known.failed_at = None
            return
        if seen.topic in (BEGINNING, INCIDENTS, DIGEST):
            self.cursor = seen.last_position
        self.newest[seen.topic] = at
        if seen.topic != BEGINNING:
            self.open[seen.notification_id] = Notification(
                seen.notification_id,
                seen.topic,
                seen.first_position,
                seen.last_position,
                seen.count,
                at,
                at,
            )
