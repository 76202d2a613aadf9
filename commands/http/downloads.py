"""One-time addresses of files: what a POST gave out, a GET fetches once, soon, by the same caller.

The GET records nothing, and nobody else gains anything by an address that stands in some log.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from commands.http.callers import Caller
    from ledger.clock import Clock

SECONDS = 60
"""From the POST to the GET; the transfer itself may take as long as it takes."""
MAX_OPEN = 1_000


@dataclass(frozen=True, slots=True)
class Download:
    """A file that may be fetched once. `ends_at`: on the monotonic clock, in seconds."""

    download_id: str
    filename: str
    backup_id: str
    caller: Caller
    expires_at: datetime
    ends_at: float


class Downloads:
    """The open ones of one process; they end with it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, Download] = {}
        self._lock = Lock()

    def offer(self, caller: Caller, filename: str, backup_id: str) -> Download:
        """A new address for a file; the oldest of too many is dropped."""
        now = self._clock.monotonic()
        offered = Download(
            secrets.token_urlsafe(24),
            filename,
            backup_id,
            caller,
            self._clock.now() + timedelta(seconds=SECONDS),
            now + SECONDS,
        )
        with self._lock:
            self._open = {name: each for name, each in self._open.items() if each.ends_at > now}
            while len(self._open) >= MAX_OPEN:
                del self._open[next(iter(self._open))]
            self._open[offered.download_id] = offered
        return offered

    def take(self, download_id: str, caller: Caller) -> Download | None:
        """What an address leads to, once; None where it is used, too old, or another caller's."""
        with self._lock:
            found = self._open.get(download_id)
            if found is None or found.caller != caller:
                return None
            del self._open[download_id]
        return found if self._clock.monotonic() < found.ends_at else None
