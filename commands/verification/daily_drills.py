"""The scheduler's drills: a small share of the backups each day, only while no run is due.

What is known of a backup stands in the ledger, so a process that is killed loses nothing: the
next one asks the ledger what is left of the day.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
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
    shared_file,
    verification_days,
)
from commands.verification.verify import verify_backups
from ledger.vocabulary import LEVELS, BackupStatus, Level, backup_stream
from projections.queries.catalog import backups_of_store
from projections.queries.due import due_schedules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
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
    is_done: bool = False
    failed: set[str] = field(default_factory=set)
    """Shared files that could not be checked today; tried again tomorrow."""


class DailyDrills:
    """A scheduler's drills, check by check."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._day: _Day | None = None

    def drill_share(self, stop: Event | None = None) -> Iterator[VerificationFailed]:
        """Drill what is left of today's share, up to what a check may read; yields what failed.

        Stops when a backup becomes due, or when `stop` is set.
        """
        site, day = self._site, self._today()
        if day.is_done or not site.configuration.drill_days or _is_wanted(site, stop):
            return
        present = good_backups(site)
        names = drills_today(
            [each for each in examined(site, present) if each.shared_file not in day.failed],
            site.configuration.drill_days,
            site.clock.now(),
        )
        budget = site.configuration.drill_mb_per_check * MEGABYTE
        for name in names:
            entries = [each for each in present if shared_file(each) == name]
            budget -= entries[0].size
            yield from _drill(site, day, name, entries, stop)
            if budget <= 0 or _is_wanted(site, stop):
                return  # the next check takes the rest
        day.is_done = True

    def give_up_for_today(self) -> None:
        """After an error that nobody expected: not again at every check."""
        self._today().is_done = True

    def _today(self) -> _Day:
        today = self._site.clock.now().date()
        if self._day is None or self._day.day != today:
            self._day = _Day(today)
        return self._day


def good_backups(site: Site) -> list[Backup]:
    """What should be there and is not known to be damaged."""
    with site.read_models.reading() as connection:
        return backups_of_store(connection, site.store.store_id, (BackupStatus.OK,))


def examined(site: Site, backups: Iterable[Backup]) -> Iterator[Examined]:
    """Backups with what the ledger knows of their checks."""
    for backup in backups:
        evidence = evidence_of(site.ledger.stream(backup_stream(backup.backup_id)))
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


def _drill(
    site: Site, day: _Day, name: str, entries: list[Backup], stop: Event | None
) -> Iterator[VerificationFailed]:
    def watch(_step: str, _done: int, _total: int) -> None:
        if stop is not None and stop.is_set():
            raise Interrupted

    context = site.context(actors.scheduler(site.instance))
    checks = verify_backups(site, context, entries, "drill", trigger="due", on_progress=watch)
    try:
        for found in checks:
            if found.problem is not None:
                logger.error("backup %r is damaged: %s", found.backup.filename, found.problem)
            elif found.failure is not None and name not in day.failed:
                day.failed.add(name)
                yield VerificationFailed(found.failure)
    except Interrupted:
        logger.info("the drill of %r was interrupted", entries[0].filename)


def _is_wanted(site: Site, stop: Event | None) -> bool:
    """Whether there is something more urgent to do."""
    if stop is not None and stop.is_set():
        return True
    with site.read_models.reading(at_head=False) as connection:
        return bool(due_schedules(connection, site.clock.now(), 1))
