"""Until when copies remain that can hold what was erased: backups of the application's database.

No backup is rewritten. Each one that was made before an erasure can hold, in the application's own
tables, what the person asked to have erased; so can its off-site copies. When the last of them is
gone follows from the rules that delete them; where no rule does, that is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from commands.schedules.rhythm import runs
from ledger.append.database import reading_snapshot, translated_errors
from ledger.clock import parse_instant
from ledger.vocabulary import BackupStatus, CopyStatus
from projections.queries.catalog import backups_of_store
from projections.queries.erasures import Erasure, erasures
from projections.queries.offsite import all_destinations, copies_at
from projections.queries.schedules import all_schedules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from commands.site.site import Site
    from projections.folds.backup import Backup
    from projections.folds.schedule import Schedule

STEP_DAYS = {"daily": 1, "weekly": 7, "monthly": 31}
"""At most this long from one scheduled backup to the next."""

_PERIOD_DAYS = {"keep_daily": 1, "keep_weekly": 7, "keep_monthly": 31, "keep_yearly": 366}


@dataclass(frozen=True, slots=True)
class Holder:
    """A copy from before an erasure. `gone_by`: None where no rule deletes it; `why`: what does."""

    name: str
    position: int
    gone_by: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class Remaining:
    """An erasure, and the copies that can still hold what it was about."""

    erasure: Erasure
    holders: tuple[Holder, ...]

    @property
    def gone_by(self) -> datetime | None:
        """When the last one is gone at the latest; None where that is unknown, or none is left."""
        dates = [each.gone_by for each in self.holders]
        return (
            max((each for each in dates if each is not None), default=None) if all(dates) else None
        )

    @property
    def is_unknown(self) -> bool:
        return any(each.gone_by is None for each in self.holders)


def remaining(site: Site, now: datetime) -> list[Remaining]:
    """Every erasure, oldest first, with the copies that are older than it."""
    with translated_errors(site.ledger.engine), reading_snapshot(site.ledger.engine) as connection:
        acts = erasures(connection)
    if not acts:
        return []
    holders = tuple(_holders(site, now))
    return [
        Remaining(each, tuple(one for one in holders if one.position < each.position))
        for each in acts
    ]


def _holders(site: Site, now: datetime) -> Iterator[Holder]:
    present = [each for each in BackupStatus if each != BackupStatus.DELETED]
    with site.read_models.reading() as connection:
        backups = backups_of_store(connection, None, present)
        schedules = {each.user_id: each for each in all_schedules(connection)}
        copies = [
            (destination.name, copy)
            for destination in all_destinations(connection)
            for copy in copies_at(connection, destination.repository_id)
            if copy.status not in (CopyStatus.DELETED, CopyStatus.FAILED)
        ]
    for backup in backups:
        gone_by, why = _gone_by(backup, backups, schedules.get(backup.user_id or 0), now)
        yield Holder(backup.filename, backup.position, gone_by, why)
    positions = {each.backup_id: each.position for each in backups}
    for destination, copy in copies:
        why = f"an off-site copy at {destination}: nothing here says when it is deleted"
        position = positions.get(copy.backup_id, copy.position)
        yield Holder(copy.filename, position, None, why)


def _gone_by(
    backup: Backup, backups: Sequence[Backup], schedule: Schedule | None, now: datetime
) -> tuple[datetime | None, str]:
    """When retention deletes a backup at the latest, and by which rule."""
    held = [hold["until"] for hold in backup.holds_at(now)]
    if None in held:
        return None, "it is held without an end"
    if backup.is_protected:
        return None, "it is protected: a person deletes it, or `retention cleanup-protected`"
    if schedule is None:
        return None, "no schedule's retention covers it: a person deletes it"
    if not runs(schedule) or schedule.next_backup_at is None:
        return None, "its user's schedule does not run"
    if not backup.is_good:
        return None, "it is not good, and such a backup goes only once better ones displace it"
    newer = sum(
        each.user_id == backup.user_id
        and each.position > backup.position
        and each.is_good
        and not each.is_protected
        for each in backups
    )
    step = timedelta(days=STEP_DAYS[schedule.frequency])
    more = max(schedule.keep_count - newer, 1)
    dates = [max(schedule.next_backup_at, now) + step * (more - 1)]
    dates.append(backup.created_at + timedelta(days=schedule.keep_within_days) + step)
    for name, days in _PERIOD_DAYS.items():
        if kept := getattr(schedule, name):
            dates.append(max(backup.created_at, now) + timedelta(days=days * kept) + step)
    dates += [parse_instant(until) + step for until in held]
    return max(dates), f"user {schedule.user_id}'s retention, keep {schedule.keep_count}"
