"""Asking witnesses beside a scheduler: on a thread of its own, so that no backup waits for them."""

from __future__ import annotations

import logging
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

from commands.audit.cosign import cosign_newest
from commands.site import actors

if TYPE_CHECKING:
    from commands.site.site import Site

CLOSING_SECONDS = 20.0
"""How long the end of the process waits for an answer that is on its way."""

logger = logging.getLogger("backup_ledger.witnesses")


class WitnessThread:
    """After each check, has what was signed cosigned. What witnesses do stops no backup.

    Witnesses are asked at most once in `checkpoint_interval_minutes`, whoever signs in between.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._wake = Event()
        self._is_stopping = False
        self._again_at: float | None = None
        self._thread = Thread(target=self._work, name="backup-ledger-witnesses", daemon=True)
        settings = site.configuration
        self._is_needed = bool(settings.witnesses) and settings.checkpoint_key is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        if self._is_needed:
            self._thread.start()

    def stop(self) -> None:
        """Wait for an answer that is on its way; at most CLOSING_SECONDS."""
        self._is_stopping = True
        self._wake.set()
        if self._is_needed:
            self._thread.join(CLOSING_SECONDS)

    def look(self) -> None:
        """A check ended: see whether something waits for cosignatures. Returns at once."""
        self._wake.set()

    def ask_now(self) -> None:
        """Ask here and now: for a scheduler that makes one check and ends."""
        if not self._is_needed or not self._is_due():
            return
        try:
            context = self._site.context(actors.scheduler(self._site.instance))
            is_asked = cosign_newest(self._site, context) is not None
        except Exception:
            logger.exception("the witnesses could not be asked")
            is_asked = True
        if is_asked:
            self._wait_an_interval()

    def _is_due(self) -> bool:
        return self._again_at is None or self._site.clock.monotonic() >= self._again_at

    def _wait_an_interval(self) -> None:
        minutes = self._site.configuration.checkpoint_interval_minutes
        self._again_at = self._site.clock.monotonic() + minutes * 60

    def _work(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._is_stopping:
                return
            self.ask_now()
