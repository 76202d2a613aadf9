"""What ends the wait between two checks: time, a stop, or an append that made work due."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from commands.scheduler.check import is_anything_due
from ledger.append.backend import backend_of

if TYPE_CHECKING:
    from threading import Event

    from commands.site.site import Site

PAUSE_SECONDS = 1.0
"""Appends that come together are looked at together, and nobody checks more often than this."""
logger = logging.getLogger("backup_ledger.scheduler")


class Waker:
    """Waits for the next check. A server tells of appends; files are looked at by the interval."""

    def __init__(self, site: Site, stop: Event) -> None:
        self._site = site
        self._stop = stop
        engine = site.ledger.engine
        backend = backend_of(engine)
        self._listener = backend.listener(engine, stop) if backend.notifies else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._listener is not None:
            self._listener.__exit__(*error)

    def wait(self, seconds: float) -> None:
        """No longer than this, and less where somebody's append made something due."""
        if self._listener is None:
            self._stop.wait(seconds)
            return
        clock = self._site.clock
        end = clock.monotonic() + seconds
        while not self._stop.is_set() and (left := end - clock.monotonic()) > 0:
            if not self._listener.wait(left):
                return
            self._stop.wait(min(left, PAUSE_SECONDS))
            if self._finds_work():
                logger.debug("woken: something is due")
                return

    def _finds_work(self) -> bool:
        """Also keeps the read models at the head, whoever appends."""
        try:
            return is_anything_due(self._site)
        except Exception:
            logger.exception("it could not be seen whether anything is due; the next check tries")
            return False
