"""When rules delete a backup or an off-site copy, at the latest: pure.

Bounds, not predictions: they hold as long as the schedules go on as they are. What only a person
deletes has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from commands.offsite.policy import Policy
from commands.retention.periods import Keep
from commands.schedules.rhythm import runs
from ledger.clock import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from projections.folds.backup import Backup
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination
    from projections.folds.schedule import Schedule

STEP_DAYS = {"daily": 1, "weekly": 7, "monthly": 31}
"""At most this long from one scheduled backup to the next."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """`gone_by`: None where no rule deletes it. `why`: which rule does, or why none."""

    gone_by: datetime | None
    why: str


def lifetime_of_backup(
    backup: Backup, backups: Sequence[Backup], schedule: Schedule | None, now: datetime
) -> Lifetime:
    """Of a backup here, by its user's schedule. `backups`: all that are there."""
    why = _why_kept(backup, now)
    if why is not None:
        return Lifetime(None, why)
    if schedule is None:
        return Lifetime(None, "no schedule's retention covers it: a person deletes it")
    if not runs(schedule) or schedule.next_backup_at is None:
        return Lifetime(None, "its user's schedule does not run")
    if not backup.is_good:
        why = "it is not good, and is deleted only once there are better ones"
        return Lifetime(None, why)
    newer = sum(
        each.user_id == backup.user_id
        and each.position > backup.position
        and each.is_good
        and not each.is_protected
        for each in backups
    )
    step = timedelta(days=STEP_DAYS[schedule.frequency])
    first = max(schedule.next_backup_at, now)
    counted = first + step * (max(schedule.keep_count - newer, 1) - 1)
    bound = max(counted, _by_periods(backup.created_at, Keep.of(schedule), step, now))
    bound = max([bound, *_ends_of_holds(backup, now, step)])
    return Lifetime(bound, f"user {schedule.user_id}'s retention, keep {schedule.keep_count}")


def lifetime_of_copy(
    destination: Destination,
    copy: OffsiteCopy,
    copies: Sequence[OffsiteCopy],
    backup: Backup | None,
    schedules: Iterable[Schedule],
    now: datetime,
) -> Lifetime:
    """Of an off-site copy, by its destination's retention, grace, lock and old versions."""
    policy = Policy.of(destination)
    if not destination.is_attached or policy.keep_count is None:
        return Lifetime(None, "nothing deletes copies there by itself")
    held = [] if backup is None else [hold["until"] for hold in backup.holds_at(now)]
    if None in held:
        return Lifetime(None, "its backup is held without an end")
    steps = [STEP_DAYS[each.frequency] for each in schedules if runs(each)]
    if not steps:
        return Lifetime(None, "no schedule runs, so no newer copies come")
    days = destination.stated.get("noncurrent_days")
    if policy.versioned and days is None:
        return Lifetime(None, "the bucket has versions, and nobody said for how long")
    step = timedelta(days=min(steps))
    newer = sum(each.source == copy.source and each.position > copy.position for each in copies)
    made_at = copy.started_at if backup is None else backup.created_at
    counted = now + step * max(policy.keep_count - newer, 1)
    bound = max(counted, _by_periods(made_at, policy.keep, step, now))
    if backup is not None:
        bound = max([bound, *_ends_of_holds(backup, now, step)])
    bound += policy.grace + policy.lock + timedelta(days=days or 0) + timedelta(days=1)
    return Lifetime(bound, f"the retention of {destination.name}: {policy.rule}")


def _why_kept(backup: Backup, now: datetime) -> str | None:
    if any(hold["until"] is None for hold in backup.holds_at(now)):
        return "it is held without an end"
    if backup.is_protected:
        return "it is protected: a person deletes it, or `retention cleanup-protected`"
    return None


def _ends_of_holds(backup: Backup, now: datetime, step: timedelta) -> list[datetime]:
    return [parse_instant(hold["until"]) + step for hold in backup.holds_at(now)]


def _by_periods(made_at: datetime, keep: Keep, step: timedelta, now: datetime) -> datetime:
    """When it has left every period in which it can be the newest one."""
    days = max(keep.daily, keep.weekly * 7, keep.monthly * 31, keep.yearly * 366)
    bound = made_at + timedelta(days=keep.within_days) + step
    return max(bound, max(made_at, now) + timedelta(days=days) + step) if days else bound
