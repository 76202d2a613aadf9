"""The scheduler's drills: a small share of the backups each day, only while no run is due.

What is known of a backup stands in the ledger, so a process that is killed loses nothing: the
next one asks the ledger what is left of the day.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from commands.errors import VerificationFailed
from commands.site import actors
from commands.site.configuration import MEGABYTE
from commands.verification.plan import (
    Examined,
    drills_today,
    due_level,
    evidence_of,
    is_in_part,
    verification_days,
)
from commands.verification.verify import verify_backups
from ledger.vocabulary import LEVELS, BackupStatus, Level, backup_stream
from projections.queries.catalog import backups_of_store, backups_sharing
from projections.queries.due import due_schedules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from threading import Event

    from commands.site.site import Site
    from projections.folds.backup import Backup

logger = logging.getLogger("backup_ledger.drills")


class Interrupted(Exception):
    """The scheduler is to stop; the drill is held again another time."""


@dataclass(slots=True)
class _Day:
    """What is known of a day's drills, so that the ledger need not be asked at every check."""

    day: date
    waiting: deque[str] | None = None
    """Shared files that are left of the day's share; None before it was planned."""


class DailyDrills:
    """A scheduler's drills, check by check."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._day: _Day | None = None

    def drill_share(self, stop: Event | None = None) -> Iterator[VerificationFailed]:
        """Drill what is left of today's share, up to what a check may read; yields what failed.

        The share is planned once a day, from all backups; what failed is tried again the next day.
        Stops when a backup becomes due, or when `stop` is set.
        """
        site, day = self._site, self._today()
        if day.waiting is not None and not day.waiting:
            return
        if not site.configuration.drill_days or _is_wanted(site, stop):
            return
        if day.waiting is None:
            day.waiting = deque(planned_today(site))
        budget = site.configuration.drill_mb_per_check * MEGABYTE
        while day.waiting and budget > 0:
            entries = left_to_drill(site, day.waiting[0])
            if entries:
                budget -= entries[0].size
                try:
                    yield from _drill(site, entries, stop)
                except Interrupted:
                    logger.info("the drill of %r was interrupted", entries[0].filename)
                    return
            day.waiting.popleft()
            if _is_wanted(site, stop):
                return  # the next check takes the rest

    def give_up_for_today(self) -> None:
        """After an error that nobody expected: not again at every check."""
        self._today().waiting = deque()

    def _today(self) -> _Day:
        today = self._site.clock.now().date()
        if self._day is None or self._day.day != today:
            self._day = _Day(today)
        return self._day


def good_backups(site: Site) -> list[Backup]:
    """What should be there and is not known to be damaged."""
    with site.read_models.reading() as connection:
        return backups_of_store(connection, site.store.store_id, (BackupStatus.OK,))


def planned_today(site: Site) -> list[str]:
    """The shared files that are to be drilled in what is left of today."""
    days = site.configuration.drill_days
    return drills_today(list(examined(site, good_backups(site))), days, site.clock.now())


def left_to_drill(site: Site, shared: str) -> list[Backup]:
    """The good backups on a shared file; none where another scheduler drilled them all today."""
    with site.read_models.reading() as connection:
        sharing = backups_sharing(connection, shared)
    store = site.store.store_id
    entries = [each for each in sharing if (each.store, each.status) == (store, BackupStatus.OK)]
    today = site.clock.now().date()
    if all(each.evidence.is_drilled_on(today) for each in examined(site, entries)):
        return []
    return entries


def examined(site: Site, backups: Sequence[Backup]) -> Iterator[Examined]:
    """Backups with what the ledger knows of their checks."""
    streams = site.ledger.streams([backup_stream(each.backup_id) for each in backups])
    for backup, events in zip(backups, streams, strict=True):
        evidence = evidence_of(events)
        if evidence is not None:
            yield Examined(backup, evidence)


def due_backups(
    site: Site, now: datetime, level: Level | None = None, part: tuple[int, int] = (1, 1)
) -> list[tuple[Level, list[Backup]]]:
    """What is due to be verified, by the level that is due, the deepest first.

    `level`: this one only. `part`: the n-th of so many parts.
    """
    days = verification_days(site.configuration)
    if level is not None:
        days = {level: days.get(level, 0)}
    work: dict[Level, list[Backup]] = {each: [] for each in reversed(LEVELS)}
    for each in examined(site, good_backups(site)):
        found = due_level(each.evidence, days, now)
        if found is not None and is_in_part(each.backup, *part):
            work[found].append(each.backup)
    return [(each, backups) for each, backups in work.items() if backups]


def _drill(site: Site, entries: list[Backup], stop: Event | None) -> Iterator[VerificationFailed]:
    def watch(_step: str, _done: int, _total: int) -> None:
        if stop is not None and stop.is_set():
            raise Interrupted

    context = site.context(actors.scheduler(site.instance))
    has_failed = False
    for found in verify_backups(site, context, entries, "drill", trigger="due", on_progress=watch):
        if found.problem is not None:
            logger.error("backup %r is damaged: %s", found.backup.filename, found.problem)
        elif found.failure is not None and not has_failed:
            has_failed = True  # the others on the same file fail for the same reason
            yield VerificationFailed(found.failure)


def _is_wanted(site: Site, stop: Event | None) -> bool:
    """Whether there is something more urgent to do."""
    if stop is not None and stop.is_set():
        return True
    with site.read_models.reading(at_head=False) as connection:
        return bool(due_schedules(connection, site.clock.now(), 1))
