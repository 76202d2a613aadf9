"""The notifier beside a scheduler: on a thread of its own, so that no backup waits for a message.

Pings tell an outside watchman that checks begin and end; when they stay away, he knows that the
scheduler itself is gone, which nobody inside could tell. They are not recorded: that would be an
event a minute.
"""

from __future__ import annotations

import logging
from queue import Empty, Full, Queue
from threading import Thread
from typing import TYPE_CHECKING, Literal, Self

from commands.notifications.notifier import Notifier
from commands.notifications.targets import ping

if TYPE_CHECKING:
    from commands.site.site import Site

Signal = Literal["start", "success", "failure"]
CLOSING_SECONDS = 60.0
"""How long the end of the process waits for messages that are on their way."""

WAITING_SIGNALS = 16
"""More wait only where a target hangs; then the oldest are worth nothing."""

logger = logging.getLogger("backup_ledger.notifications")


class NotifierThread:
    """While it is entered, signals are passed on, and after each check the notifier looks.

    Raises:
        InvalidArgument: a target is not understood, or apprise is not installed.
    """

    def __init__(self, site: Site) -> None:
        self._notifier = Notifier(site)
        settings = site.configuration
        self._pings = {
            "start": settings.ping_start_url,
            "success": settings.ping_success_url,
            "failure": settings.ping_failure_url,
        }
        self._signals: Queue[Signal | None] = Queue(WAITING_SIGNALS)
        self._thread = Thread(target=self._work, name="backup-ledger-notifier", daemon=True)
        self._is_needed = self._notifier.has_targets or any(self._pings.values())

    def __enter__(self) -> Self:
        if self._is_needed:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Send what is on its way, then end; at most CLOSING_SECONDS."""
        if self._is_needed:
            self._put(None)
            self._thread.join(CLOSING_SECONDS)

    def signal(self, signal: Signal) -> None:
        """A check began, or ended well or badly. Returns at once."""
        if self._is_needed:
            self._put(signal)

    def _put(self, signal: Signal | None) -> None:
        while True:
            try:
                self._signals.put_nowait(signal)
            except Full:
                self._drop_oldest()
            else:
                return

    def _drop_oldest(self) -> None:
        try:
            self._signals.get_nowait()
        except Empty:
            return

    def _work(self) -> None:
        while (signal := self._signals.get()) is not None:
            url = self._pings[signal]
            problem = ping(url) if url else None
            if problem is not None:
                logger.warning("the %s ping was not answered: %s", signal, problem)
            if signal != "start":
                self._look()

    def _look(self) -> None:
        try:
            self._notifier.look()
        except Exception:
            logger.exception("no notification could be sent")
