"""A schedule's next runs: the one place that counts them, for the scheduler and for previews.

Where this machine does not know a schedule's time zone, times are counted in UTC and the slot
stays unknown: the run fails and says so, and the schedule goes on as soon as the zone is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from commands.schedules.cron import CronSlots, caught_up, words_of
from commands.schedules.local_time import UnknownTimeZone, nominal_slot, zone
from commands.schedules.rules import (
    CatchUp,
    catch_up,
    following_slot,
    is_too_far_ahead,
    next_slot,
    spread_offset,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from commands.site.configuration import Configuration
    from projections.folds.schedule import Schedule


@dataclass(frozen=True, slots=True)
class NextRun:
    """When a schedule runs next, and for which slot; all None where nothing is to run.

    `anchor_day`: the day of calendar months, where it was counted from now.
    """

    at: datetime | None = None
    slot: datetime | None = None
    anchor_day: int | None = None


NOTHING = NextRun()


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a schedule runs, by its settings and this machine's configuration.

    Where there is a cron expression, slots come from it, else from frequency and backup_time.
    """

    frequency: str
    backup_time: str
    timezone: str
    anchor_day: int | None
    calendar_months: bool
    spread_seconds: int
    offset: timedelta
    problem: UnknownTimeZone | None
    cron: CronSlots | None

    @classmethod
    def of(cls, configuration: Configuration, schedule: Schedule) -> Self:
        problem = zone_problem(schedule)
        timezone = schedule.timezone if problem is None else "UTC"
        return cls(
            schedule.frequency,
            schedule.backup_time,
            timezone,
            schedule.anchor_day,
            configuration.calendar_months,
            configuration.spread_seconds,
            spread_offset(schedule.user_id, configuration.spread_seconds),
            problem,
            None if schedule.cron is None else CronSlots(schedule.cron, timezone),
        )

    def from_now(self, now: datetime) -> NextRun:
        """After a change of settings or a resume."""
        moment = now - self.offset  # slots are nominal: spread past midnight it was yesterday's
        if self.cron is not None:
            return self._run(self.cron.after(moment))
        slot = next_slot(
            self.frequency,
            self.backup_time,
            moment,
            self.timezone,
            calendar_months=self.calendar_months,
        )
        is_by_month = self.calendar_months and self.frequency == "monthly"
        day = moment.astimezone(zone(self.timezone)).day
        return self._run(slot, day if is_by_month else None)

    def corrected(self, now: datetime) -> NextRun:
        """Counted from now, where a clock was wrong; the day of calendar months stays."""
        if self.cron is not None:
            return self.from_now(now)
        slot = next_slot(
            self.frequency, self.backup_time, now - self.offset, self.timezone, **self._months
        )
        return self._run(slot)

    def after(self, slot: datetime, now: datetime) -> NextRun:
        """After a run for a slot: the first of the slots after it that is still ahead."""
        if self.cron is not None:
            return self._run(self.cron.after(max(slot, now - self.offset)))
        return self._run(
            following_slot(
                self.frequency,
                self.backup_time,
                slot,
                now - self.offset,
                self.timezone,
                **self._months,
            )
        )

    def caught_up(
        self, slot: datetime, now: datetime, not_before: datetime | None = None
    ) -> CatchUp:
        """The latest slot that has come since a stored one; the user's offset is not part of it."""
        present = max(slot, now - self.offset)
        if self.cron is not None:
            return caught_up(self.cron, slot, present, not_before)
        return catch_up(
            self.frequency,
            self.backup_time,
            slot,
            present,
            self.timezone,
            not_before=not_before,
            **self._months,
        )

    def slot_of(self, next_backup_at: datetime) -> datetime:
        """The slot of a run whose event did not name it, as those of older versions."""
        if self.problem is not None:
            return next_backup_at - self.offset
        if self.cron is not None:
            return self.cron.until(next_backup_at)
        return nominal_slot(next_backup_at, self.backup_time, self.timezone)

    def is_too_far(self, next_backup_at: datetime, now: datetime) -> bool:
        """Whether a next run is further ahead than any slot that comes next, as after a jump."""
        if self.cron is not None:
            return next_backup_at > self.cron.after(now - self.offset) + self.offset
        return is_too_far_ahead(
            self.frequency,
            next_backup_at,
            now,
            spread_seconds=self.spread_seconds,
            calendar_months=self.calendar_months,
        )

    def remark(self, at: datetime) -> str | None:
        """What is odd about a run on time: a skipped or doubled hour, a short month."""
        slot = at - self.offset
        local = slot.astimezone(zone(self.timezone))
        wall = f"{local:%H:%M}"
        is_shown = wall == self.backup_time if self.cron is None else self.cron.shows(slot)
        if not is_shown:
            skipped = self.backup_time if self.cron is None else "its time"
            return f"the clocks skip {skipped} that day"
        first, second = (local.replace(fold=fold).utcoffset() for fold in (0, 1))
        if first is not None and second is not None and first > second:
            return f"{wall} comes twice that day: the {'second' if local.fold else 'first'}"
        is_by_month = self.cron is None and self.calendar_months and self.frequency == "monthly"
        if is_by_month and self.anchor_day is not None and local.day != self.anchor_day:
            return f"the month has no day {self.anchor_day}"
        return None

    @property
    def _months(self) -> dict[str, Any]:
        return {"calendar_months": self.calendar_months, "anchor_day": self.anchor_day}

    def _run(self, slot: datetime, anchor_day: int | None = None) -> NextRun:
        known = slot if self.problem is None else None
        return NextRun(slot + self.offset, known, anchor_day)


def zone_problem(schedule: Schedule) -> UnknownTimeZone | None:
    """Why nobody here can tell a schedule's times; None where one can."""
    try:
        zone(schedule.timezone)
    except UnknownTimeZone as error:
        return error
    return None


def local_day(schedule: Schedule, moment: datetime) -> str:
    """Which day it is for the user; in UTC where this machine does not know the time zone."""
    tz = zone("UTC" if zone_problem(schedule) else schedule.timezone)
    return moment.astimezone(tz).date().isoformat()


def described(schedule: Schedule) -> str:
    """When a schedule runs, in words."""
    if schedule.cron is None:
        return f"{schedule.frequency} at {schedule.backup_time} ({schedule.timezone})"
    return f"{words_of(schedule.cron)} ({schedule.timezone}; cron {schedule.cron})"


def runs(schedule: Schedule) -> bool:
    """Whether anything is to run."""
    return schedule.enabled and not schedule.paused


def counted_from_now(configuration: Configuration, schedule: Schedule, now: datetime) -> NextRun:
    """The next run of settings that were just changed."""
    return Rhythm.of(configuration, schedule).from_now(now) if runs(schedule) else NOTHING


def remarks(
    configuration: Configuration, schedule: Schedule, runs: Sequence[datetime]
) -> list[str | None]:
    """What is odd about each of the next runs; nothing of one that is late or tried again."""
    rhythm = Rhythm.of(configuration, schedule)
    if rhythm.problem is not None:
        return [None] * len(runs)
    found = [rhythm.remark(at) for at in runs]
    on_time = None if schedule.next_slot is None else schedule.next_slot + rhythm.offset
    if runs and runs[0] != on_time and schedule.open_run_id is None:
        found[0] = None
    return found


def upcoming(
    configuration: Configuration, schedule: Schedule, now: datetime, count: int
) -> list[datetime]:
    """The next runs, in UTC, if each runs on time; one that is overdue runs now.

    Where a run is open, those after it.
    """
    if not runs(schedule) or schedule.next_backup_at is None:
        return []
    rhythm = Rhythm.of(configuration, schedule)
    slot = schedule.next_slot or rhythm.slot_of(schedule.next_backup_at)
    moment = max(schedule.next_backup_at, now)
    found = [] if schedule.open_run_id else [moment]
    slot = rhythm.caught_up(slot, moment).slot
    while len(found) < count:
        ahead = rhythm.after(slot, moment)
        assert ahead.at is not None
        slot, moment = ahead.at - rhythm.offset, ahead.at
        found.append(ahead.at)
    return found[:count]
