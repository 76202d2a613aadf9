"""Renewing this process's leases while it works, from a thread of its own."""

from __future__ import annotations

import logging
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

from ledger.append.leases_and_names import renew_leases

if TYPE_CHECKING:
    from commands.site.site import Site

logger = logging.getLogger("backup_ledger.heartbeat")
BEATS_PER_LEASE = 3
TRIES_PER_BEAT = 4
"""A beat that failed is made up for sooner than the next one is due."""


class Heartbeat:
    """While it is entered, leases that are still ours and unexpired are renewed."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._done = Event()
        self._thread = Thread(target=self._beat, name="backup-ledger-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        between = self._site.configuration.lease_seconds / BEATS_PER_LEASE
        wait = between
        while not self._done.wait(wait):
            wait = between
            try:
                renew(self._site)
            except Exception as error:  # noqa: BLE001  (tried again)
                logger.warning("leases could not be renewed: %s", error)
                wait = between / TRIES_PER_BEAT


def renew(site: Site) -> int:
    """Renew this process's leases; how many that is. What takes one over checks how it was seen."""
    with site.ledger.log_recorder.renewing() as connection:
        return renew_leases(
            connection, site.instance, site.clock.monotonic(), site.configuration.lease_seconds
        )
