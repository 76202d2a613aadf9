"""What past days were like: counted once, as they do not change any more."""

from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import date, timedelta
from threading import Lock
from typing import TYPE_CHECKING

from projections.queries.overview import outcomes_by_day, stored_by_day

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from commands.site.site import Site

STORAGE_DAYS = 365
STORAGE_FRESH_SECONDS = 300.0
PATIENCE_SECONDS = 0.1
MONTH_DAYS = 31
Storage = list[tuple[date, int]]
logger = logging.getLogger("backup_ledger.http")


class History:
    """Everybody's past days, of one served site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._days: dict[date, Counter[str]] = {}
        self._storage: Storage | None = None
        self._storage_at = 0.0
        self._reading: Future[None] | None = None
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="backup-ledger-history")
        self._lock = Lock()

    def outcomes(self, connection: Connection, today: date) -> dict[date, Counter[str]]:
        """Yesterday is counted anew, too: it may have been counted before it was over."""
        first = first_of_year(today)
        with self._lock:
            if self._days:
                first = max(first, min(max(self._days), today) - timedelta(days=1))
            self._days.update(outcomes_by_day(connection, first, today))
            return dict(self._days)

    def storage(self, today: date) -> Storage | None:
        """Bytes by day, some minutes old perhaps; None where they are still being added up.

        Adding all sizes takes a second for a million events: no page waits for it.
        """
        with self._lock:
            age = self._site.clock.monotonic() - self._storage_at
            is_old = not self._storage or age > STORAGE_FRESH_SECONDS
            is_read = self._reading is not None and not self._reading.done()
            if (is_old or self._storage_of_another_day(today)) and not is_read:
                self._reading = self._threads.submit(self._read, today)
            reading = self._reading
        if self._storage is None and reading is not None:
            wait([reading], PATIENCE_SECONDS)
        return self._storage

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _storage_of_another_day(self, today: date) -> bool:
        return bool(self._storage) and self._storage[-1][0] != today  # type: ignore[index]

    def _read(self, today: date) -> None:
        try:
            with self._site.read_models.reading(at_head=False) as connection:
                found = stored_by_day(connection, today - timedelta(days=STORAGE_DAYS), today)
        except Exception:
            logger.exception("the sizes of backups could not be added up")
            return
        self._storage, self._storage_at = since_first(found), self._site.clock.monotonic()


def first_of_year(last: date) -> date:
    """The Monday 52 weeks before a day's own."""
    return last - timedelta(days=last.weekday(), weeks=52)


def since_first(series: Storage) -> Storage:
    """From the day before the first backup on, and a month at least."""
    first = next((index for index, (_day, size) in enumerate(series) if size), len(series))
    return series[max(0, min(first - 1, len(series) - MONTH_DAYS)) :]
