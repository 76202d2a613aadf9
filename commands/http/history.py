"""What past days were like: counted once, as they do not change any more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from threading import Lock
from typing import TYPE_CHECKING

from projections.overview_queries import outcomes_by_day, stored_by_day

if TYPE_CHECKING:
    from sqlalchemy import Connection

STORAGE_DAYS = 365
STORAGE_FRESH_SECONDS = 300.0
MONTH_DAYS = 31


@dataclass
class History:
    """What past days were, which does not change any more; for everybody together."""

    _days: dict[date, Counter[str]] = field(default_factory=dict)
    _storage: list[tuple[date, int]] = field(default_factory=list)
    _storage_at: float | None = None
    _lock: Lock = field(default_factory=Lock)

    def outcomes(self, connection: Connection, today: date) -> dict[date, Counter[str]]:
        """Yesterday is counted anew, too: it may have been counted before it was over."""
        first = first_of_year(today)
        with self._lock:
            if self._days:
                first = max(first, min(max(self._days), today) - timedelta(days=1))
            self._days.update(outcomes_by_day(connection, first, today))
            return dict(self._days)

    def storage(
        self, connection: Connection, today: date, monotonic: float
    ) -> list[tuple[date, int]]:
        """Adding all sizes takes a while where there are many: done every few minutes."""
        with self._lock:
            is_old = (
                self._storage_at is None or monotonic - self._storage_at > STORAGE_FRESH_SECONDS
            )
            if is_old or self._storage[-1][0] != today:
                first = today - timedelta(days=STORAGE_DAYS)
                self._storage = since_first(stored_by_day(connection, first, today))
                self._storage_at = monotonic
            return self._storage


def first_of_year(last: date) -> date:
    """The Monday 52 weeks before a day's own."""
    return last - timedelta(days=last.weekday(), weeks=52)


def since_first(series: list[tuple[date, int]]) -> list[tuple[date, int]]:
    """From the day before the first backup on, and a month at least."""
    first = next((index for index, (_day, size) in enumerate(series) if size), len(series))
    return series[max(0, min(first - 1, len(series) - MONTH_DAYS)) :]
