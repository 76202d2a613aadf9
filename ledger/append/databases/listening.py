"""Hearing of appends: told by the server where there is one, else by looking."""

from __future__ import annotations

import logging
from threading import Event
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy.exc import DBAPIError

from ledger.append.databases.guards import CHANNEL

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

POLL_SECONDS = 0.2
"""How often the head is looked at where nobody tells."""
LOOK_FOR_STOP_SECONDS = 0.2
TRY_AGAIN_SECONDS = 2.0
"""How long it is only looked at after a connection that listened was lost."""
logger = logging.getLogger("backup_ledger.listening")


class Looking:
    """Says every moment that there may be something new: nobody tells of appends to a file."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing is open."""

    def wait(self, seconds: float) -> bool:
        """Wait for the next look, no longer than this."""
        self._stop.wait(min(POLL_SECONDS, seconds))
        return True


class Listener:
    """Waits for appends of anybody to a server. One thread uses it; any may set `stop`."""

    def __init__(self, engine: Engine, stop: Event) -> None:
        self._engine = engine
        self._stop = stop
        self._raw: Any = None
        self._deaf_for = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._hang_up()

    def wait(self, seconds: float) -> bool:
        """Wait, no longer than this; whether there may be something new, or it is to stop.

        What was appended while nobody listened is not told: look once after the first wait.
        """
        if self._raw is None and (self._deaf_for > 0 or not self._listen()):
            waited = min(POLL_SECONDS, seconds)
            self._deaf_for = max(0.0, self._deaf_for - waited)
            self._stop.wait(waited)
            return True
        return self._hear(seconds)

    def _listen(self) -> bool:
        """Open a connection that hears; False where that cannot be had now."""
        try:
            connection = self._engine.raw_connection()
            self._raw = connection.driver_connection
            connection.detach()
            self._raw.autocommit = True
            self._raw.execute(f"LISTEN {CHANNEL}")
        except (DBAPIError, self._engine.dialect.loaded_dbapi.Error) as error:
            self._lost(error)
            return False
        return True

    def _hear(self, seconds: float) -> bool:
        left = seconds
        try:
            while left > 0 and not self._stop.is_set():
                turn = min(left, LOOK_FOR_STOP_SECONDS)
                if any(True for _ in self._raw.notifies(timeout=turn, stop_after=1)):
                    return True
                left -= turn
        except self._engine.dialect.loaded_dbapi.Error as error:
            self._lost(error)
            return True
        return self._stop.is_set()

    def _lost(self, error: Exception) -> None:
        reason = getattr(error, "orig", None) or error
        logger.info(
            "the server does not announce appends at the moment, so the ledger is polled: %s",
            reason,
        )
        self._deaf_for = TRY_AGAIN_SECONDS
        self._hang_up()

    def _hang_up(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None
