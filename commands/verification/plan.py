"""Which backups are to be verified, and how closely: pure rules over what was checked when.

A stronger level counts for the weaker. What enters the catalog as good had an integrity check,
so a new backup counts as checked that closely when it entered; its first drill is due `drill_days`
after that.

The scheduler's drills are levelled: each day takes as few as it can without a later day having
to take more than the busiest must, whatever came together. They are planned for four fifths of
`drill_days`, so that a scheduler that stands still for some days makes nothing late.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from ledger.events.catalog import BackupCorrupt, BackupCreated, BackupFound, BackupVerified
from ledger.records.record import Event
from ledger.vocabulary import LEVELS, Level
from projections.folds.backup import Backup

if TYPE_CHECKING:
    from commands.site.configuration import Configuration

SLACK: Final = 5
"""One part in so many of `drill_days` is kept as a reserve."""


@dataclass(slots=True)
class Evidence:
    """When a backup was last found good, for each level. Times are aware UTC."""

    since: datetime
    """When it entered the catalog."""
    reached: dict[Level, datetime] = field(default_factory=dict)

    def found_good(self, level: Level, when: datetime) -> None:
        """A check of this level, which is one of every weaker level too."""
        for each in LEVELS[: LEVELS.index(level) + 1]:
            self.reached[each] = when

    def last(self, level: Level) -> datetime:
        """The last check of a level; where there was none, the time from which it is counted."""
        return self.reached.get(level, self.since)

    def is_drilled_on(self, day: date) -> bool:
        """Whether the last drill was on this day (UTC)."""
        drilled = self.reached.get("drill")
        return drilled is not None and drilled.date() == day


@dataclass(frozen=True, slots=True)
class Examined:
    """A backup and what is known of it."""

    backup: Backup
    evidence: Evidence

    @property
    def shared_file(self) -> str:
        return shared_file(self.backup)


def evidence_of(events: Iterable[Event]) -> Evidence | None:
    """Fold a `backup/` stream; None where the backup never was."""
    evidence: Evidence | None = None
    for event in events:
        details = event.details
        if evidence is None:
            if isinstance(details, BackupCreated | BackupFound):
                evidence = Evidence(event.timestamp)
                if not isinstance(details, BackupFound) or details.status == "ok":
                    evidence.found_good("integrity", event.timestamp)
        elif isinstance(details, BackupVerified):
            evidence.found_good(details.level, event.timestamp)
        elif isinstance(details, BackupCorrupt):
            evidence.reached.clear()
    return evidence


def verification_days(configuration: Configuration) -> dict[Level, int]:
    """After how many days each level is due again; 0 for never."""
    return {
        "digest": configuration.verify_digest_days,
        "integrity": configuration.verify_integrity_days,
        "drill": configuration.drill_days,
    }


def due_level(evidence: Evidence, days: Mapping[Level, int], now: datetime) -> Level | None:
    """The strongest level whose interval is over; 0 days mean never."""
    for level in reversed(LEVELS):
        interval = days.get(level, 0)
        if interval and now - evidence.last(level) >= timedelta(days=interval):
            return level
    return None


def shared_file(backup: Backup) -> str:
    """The same for all entries that were made on one file: the id of the first."""
    return backup.shared_with or backup.backup_id


def is_in_part(backup: Backup, part: int, parts: int) -> bool:
    """Whether a backup is in part 1..parts; entries on one file always are together."""
    digest = hashlib.sha256(shared_file(backup).encode()).digest()
    return int.from_bytes(digest[:8]) % parts == part - 1


def drills_today(examined: Sequence[Examined], drill_days: int, now: datetime) -> list[str]:
    """The shared files to be drilled in what is left of this day (UTC), the most urgent first.

    Asked again after some of them were drilled, it names the rest.
    """
    if not drill_days:
        return []
    today, period = now.date(), planned_days(drill_days)
    oldest: dict[str, date] = {}
    done_on: dict[str, date | None] = {}
    for each in examined:
        name = each.shared_file
        counted = each.evidence.last("drill").date()
        oldest[name] = min(counted, oldest.get(name, counted))
        is_done = each.evidence.is_drilled_on(today) and done_on.get(name, today) == today
        done_on[name] = today if is_done else None
    done = sum(day is not None for day in done_on.values())
    waiting = sorted((day, name) for name, day in oldest.items() if done_on[name] is None)
    left = [max(1, (day + timedelta(days=period) - today).days) for day, _ in waiting]
    number = least_today(left, done)
    return [name for _, name in waiting[:number]]


def planned_days(drill_days: int) -> int:
    """Within how many days drills are planned, to be on time also after some were missed."""
    return max(1, drill_days - max(1, drill_days // SLACK))


def least_today(days_left: Sequence[int], done: int) -> int:
    """How many must be done today, besides those `done`, so that no later day needs more.

    Args:
        days_left: of each waiting one, ascending; 1 means today at the latest.
        done: how many were done today already.
    """
    if not days_left:
        return 0
    counted = list(enumerate(days_left, done + 1))
    busiest = max(-(-number // days) for number, days in counted)
    needed = max(number - busiest * (days - 1) for number, days in counted)
    return min(max(0, needed - done), len(days_left))
