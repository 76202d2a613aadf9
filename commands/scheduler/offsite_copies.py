"""Copying off-site beside a scheduler: on a thread of its own, so that no backup waits for it."""

from __future__ import annotations

import logging
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

from commands.site import actors
from projections.queries.offsite import all_destinations

if TYPE_CHECKING:
    from datetime import date

    from commands.site.site import Site

CLOSING_SECONDS = 60.0
"""How long the end of the process waits for a copy under way to notice; its lease ends later."""

logger = logging.getLogger("backup_ledger.offsite")


class OffsiteThread:
    """After each check, copies what has no copy yet, and deletes what may go.

    A failure is a fact, and stops no backup.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._wake = Event()
        self._stop = Event()
        self._checked_on: date | None = None
        self._thread = Thread(target=self._work, name="backup-ledger-offsite", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End a copy that is being sent; at most CLOSING_SECONDS."""
        self._stop.set()
        self._wake.set()
        self._thread.join(CLOSING_SECONDS)

    def look(self) -> None:
        """A check ended: see whether there is something to copy. Returns at once."""
        self._wake.set()

    def copy_now(self) -> None:
        """Copy what is due, here and now: for a scheduler that makes one check and ends."""
        try:
            if not self._is_needed():
                return
            from commands.offsite.copy_all import copy_due  # noqa: PLC0415 (needs the extra)
            from commands.offsite.deleting.due import collect_due  # noqa: PLC0415
            from commands.offsite.watching.drills import check_due  # noqa: PLC0415

            context = self._site.context(actors.scheduler(self._site.instance))
            for outcome in copy_due(self._site, context, self._stop.is_set):
                if outcome.error is not None:
                    logger.warning(
                        "%s was not copied to %s: %s",
                        outcome.backup.filename,
                        outcome.destination.name,
                        outcome.error,
                    )
            for destination, done in collect_due(self._site, context, self._stop.is_set):
                if isinstance(done, Exception):
                    logger.warning("%s was not collected: %s", destination.name, done)
                elif done.plan.problem is not None:
                    logger.warning("%s: no pack goes, as %s", destination.name, done.plan.problem)
            today = self._site.clock.now().date()
            if today != self._checked_on and not self._stop.is_set():
                check_due(self._site, context, self._stop.is_set)
                self._checked_on = today
        except ImportError as error:
            logger.warning("nothing is copied off-site: %s; install backup-ledger[offsite]", error)
        except Exception:
            logger.exception("what is due could not be copied off-site")

    def _is_needed(self) -> bool:
        with self._site.read_models.reading() as connection:
            return any(each.is_attached for each in all_destinations(connection))

    def _work(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stop.is_set():
                return
            self.copy_now()
