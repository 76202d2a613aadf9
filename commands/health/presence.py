"""Which schedulers are there: each has a row in the ledger, with a heartbeat while it lives.

The row decides nothing: leases do. It tells `status` who is alive and with which labels, and
schedulers how many they are and who can work. On one machine the locks of the owners in the
backups folder show who lives; on a server it is the heartbeat, by the server's clock.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

from commands.site.owner import is_alive
from ledger.append.backend import backend_of
from ledger.append.schedulers import beat, leave, scheduler_rows
from ledger.append.tables import SINCE, schedulers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from commands.site.site import Site
    from ledger.append.schedulers import SchedulerRow

logger = logging.getLogger("backup_ledger.presence")
LOOK_SECONDS = 10.0
"""How often a scheduler says on a server that it is there."""

SILENT_SECONDS = 3 * LOOK_SECONDS
"""Who has said nothing for so long does nothing else either: it is frozen, or cut off."""

GONE_SECONDS = 12 * LOOK_SECONDS
"""Who has said nothing for so long is no longer there, as far as other machines can know."""

FIRST_CHECK_WITHIN_SECONDS = 10.0
"""Schedulers that are started together spread their first checks over this time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A scheduler that is there. None: it has no row, or no heartbeat is needed.

    `silent_seconds`: since it last said so; it does every ten seconds, unless it is frozen.
    """

    labels: tuple[str, ...] | None
    silent_seconds: float | None


class Presence:
    """While it is entered, the ledger knows this scheduler.

    `problem`: asked again and again, says why the scheduler cannot work; None where it can.
    """

    def __init__(self, site: Site, problem: Callable[[], str | None] = lambda: None) -> None:
        self._site = site
        self._problem = problem
        self._done = Event()
        self._said: tuple[str | None] | None = None
        self._thread = Thread(target=self._keep, name="backup-ledger-presence", daemon=True)

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        try:
            with self._site.ledger.log_recorder.renewing() as connection:
                leave(connection, self._site.instance)
        except Exception as error:  # noqa: BLE001  (the row is then forgotten by its silence)
            logger.info("the ledger still says that we are here: %s", error)

    def first_check_after(self, interval_seconds: float) -> float:
        """Seconds to wait, so that many that start at once do not all ask at once."""
        if not is_on_server(self._site):
            return 0.0
        return self._site.random.uniform(0, min(interval_seconds, FIRST_CHECK_WITHIN_SECONDS))

    def _keep(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        """Say that we are here; on one machine only what is new, as our lock says the rest."""
        site, saying = self._site, (self._problem(),)
        if saying == self._said and not is_on_server(site):
            return
        try:
            with site.ledger.log_recorder.renewing() as connection:
                labels = site.configuration.labels
                beat(connection, site.instance, labels, *saying, site.clock.monotonic())
            self._said = saying
        except Exception as error:  # noqa: BLE001  (tried again)
            reason = getattr(error, "orig", None) or error
            logger.info("the ledger does not know now that we are here; tried again: %s", reason)


def count_schedulers(site: Site) -> int:
    """How many schedulers a server knows, this one at least; 1 where there is no server."""
    return max(len(_rows(site)), 1) if is_on_server(site) else 1


def count_others_ready(site: Site) -> int:
    """How many other schedulers do not say that they cannot work; 0 where there is no server."""
    if not is_on_server(site):
        return 0
    others = (row for name, row in _rows(site).items() if name != site.instance)
    return sum(row.not_ready is None and row.silent_seconds < SILENT_SECONDS for row in others)


def present_among(site: Site, instances: Collection[str]) -> dict[str, Seen]:
    """Those of these schedulers who are alive as far as can be seen from here."""
    rows = _rows(site)
    locked = {each for each in instances if _has_lock(site, each)}
    is_shared = is_on_server(site)
    found: dict[str, Seen] = {}
    for instance in instances:
        row = rows.get(instance)
        if row is not None:
            found[instance] = Seen(row.labels, row.silent_seconds if is_shared else None)
        elif instance in locked:
            found[instance] = Seen(None, None)
    return found


def labels_alive(site: Site) -> list[tuple[str, ...]] | None:
    """The labels of each scheduler that is there; None where nobody has said any."""
    rows = _rows(site)
    return [row.labels for row in rows.values()] if rows or is_on_server(site) else None


def _has_lock(site: Site, instance: str) -> bool:
    try:
        return site.has_store and is_alive(site.store.staging, instance)
    except OSError:
        return False  # a folder that we may only read: nobody can be seen there


def not_ready_among(site: Site, instances: Collection[str]) -> set[str]:
    """Those of these schedulers who say that they cannot do the work at the moment."""
    rows = _rows(site)
    return {each for each in instances if each in rows and rows[each].not_ready is not None}


def _rows(site: Site) -> dict[str, SchedulerRow]:
    """Of those that are there, by instance; none where the ledger is of older software."""
    if site.ledger.meta.schema_version < schedulers.info[SINCE]:
        return {}
    with site.ledger.engine.connect() as connection:
        rows = scheduler_rows(connection, site.clock.monotonic())
    if not is_on_server(site):
        return {row.instance: row for row in rows if _has_lock(site, row.instance)}
    return {
        row.instance: row
        for row in rows
        if row.silent_seconds < GONE_SECONDS and not _died_here(site, row.instance)
    }


def _died_here(site: Site, instance: str) -> bool:
    """Whether a scheduler worked in our folder and left its lock; of others nothing is known."""
    if not site.has_store:
        return False
    return (site.store.staging / instance).is_dir() and not _has_lock(site, instance)


def is_on_server(site: Site) -> bool:
    return not backend_of(site.ledger.engine).is_of_one_machine
