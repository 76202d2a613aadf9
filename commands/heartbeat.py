"""Renewing this process's leases while it works, from a thread of its own."""

from __future__ import annotations

import logging
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

from ledger.operational import renew_leases

if TYPE_CHECKING:
    from commands.site import Site

logger = logging.getLogger("backup_ledger.heartbeat")
BEATS_PER_LEASE = 3


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
        lease_seconds = self._site.configuration.lease_seconds
        while not self._done.wait(lease_seconds / BEATS_PER_LEASE):
            try:
                with self._site.ledger.locked() as locked:
                    renew_leases(
                        locked.connection,
                        self._site.instance,
                        self._site.clock.monotonic(),
                        lease_seconds,
                    )
            except Exception as error:  # noqa: BLE001  (the next beat tries again)
                logger.warning("leases could not be renewed: %s", error)
