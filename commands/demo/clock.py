"""A clock that is told what time it is, and runs on from there."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from ledger.clock import ManualClock


class LivedClock(ManualClock):
    """Jumps when told to, and runs at the usual speed in between.

    So weeks pass in seconds, and a backup's duration in the ledger is what it really took.
    """

    def __init__(self, now: datetime) -> None:
        """Start at a moment, and run."""
        super().__init__(now)
        self._since = time.monotonic()

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._elapsed_seconds)

    def monotonic(self) -> float:
        return super().monotonic() + self._elapsed_seconds

    def move_to(self, now: datetime) -> None:
        """Jump to a time of day, if it is still ahead."""
        reached = self.now()
        self._since = time.monotonic()
        super().move_to(reached)
        super().move_to(max(now, reached))

    @property
    def _elapsed_seconds(self) -> float:
        return time.monotonic() - self._since
