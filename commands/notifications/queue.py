"""The ledger as the queue of messages: claimed under the head lock, each outcome recorded."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.notifications.state import Notification, NotificationState
from commands.site import actors
from ledger.append.ledger import Draft
from ledger.events.housekeeping import NotificationFailed, NotificationQueued, NotificationSent
from ledger.records.record import cut_text, decode_event
from ledger.vocabulary import LEDGER_STREAM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from commands.site.site import Site
    from ledger.append.reading import StoredRecord
    from ledger.append.recorder import LockedHead

_EVENTS = "ledger.notification_"
logger = logging.getLogger("backup_ledger.notifications")


class NotificationQueue:
    """What was queued, sent and failed so far, and how more is added."""

    def __init__(self, site: Site) -> None:
        self.state = NotificationState()
        self._site = site
        self._position = 0

    def catch_up(self) -> None:
        self._fold(self._site.ledger.records(after=self._position))

    def add(
        self, topic: str, count: int, positions: tuple[int, int], is_unnotified: Callable[[], bool]
    ) -> Notification | None:
        """Claim a new message; None where another process claimed it first.

        `is_unnotified`: asked while the head is locked, with the state brought up to it.
        """
        return self._claim(str(uuid4()), topic, count, positions, is_unnotified)

    def take_over(self, tried: Notification) -> Notification | None:
        """Claim another try of a message; None where another process did."""
        before = (tried.attempts, tried.tried_at)

        def is_unnotified() -> bool:
            found = self.state.open.get(tried.notification_id)
            return found is not None and (found.attempts, found.tried_at) == before

        positions = (tried.first_position, tried.last_position)
        return self._claim(
            tried.notification_id, tried.topic, tried.count, positions, is_unnotified
        )

    def record_outcome(
        self, notification: Notification, targets: int, failed: Mapping[str, str]
    ) -> None:
        """Sent, or not taken by some targets, each with what went wrong there."""
        if not failed:
            self._append(
                NotificationSent(
                    notification_id=notification.notification_id,
                    attempt=notification.attempts,
                    targets=targets,
                )
            )
            return
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        problem = cut_text(f"not taken by {reasons}")
        logger.warning("a message was %s", problem)
        self._append(
            NotificationFailed(
                notification_id=notification.notification_id,
                attempt=notification.attempts,
                error_type=next(iter(failed.values())).partition(":")[0],
                failed_targets=list(failed),
            ),
            problem,
        )

    def _claim(
        self,
        notification_id: str,
        topic: str,
        count: int,
        positions: tuple[int, int],
        is_unnotified: Callable[[], bool],
    ) -> Notification | None:
        details = NotificationQueued(
            notification_id=notification_id,
            topic=topic,
            first_position=positions[0],
            last_position=positions[1],
            count=count,
        )

        def decide(locked: LockedHead) -> list[Draft]:
            self._fold(locked.records_after(self._position))
            return [Draft(LEDGER_STREAM, details)] if is_unnotified() else []

        recorded = self._site.ledger.decide(self._site.context(actors.SYSTEM), decide)
        if not recorded:
            return None
        self._site.notify(recorded)
        self.catch_up()
        return self.state.open.get(notification_id)

    def _append(
        self, details: NotificationSent | NotificationFailed, problem: str | None = None
    ) -> None:
        draft = Draft(LEDGER_STREAM, details, error_message=problem)
        self._site.notify(self._site.ledger.append(self._site.context(actors.SYSTEM), draft))
        self.catch_up()

    def _fold(self, rows: Iterable[StoredRecord]) -> None:
        for row in rows:
            if row.event_type.startswith(_EVENTS):
                self.state.fold(decode_event(row.record))
            self._position = row.position
