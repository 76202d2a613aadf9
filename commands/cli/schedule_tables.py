"""Schedules as they are printed: one with all its facts, a table of several, and the next runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.reporting import humanize as moments
from commands.reporting.terminal import add_row, new_table, say, show_facts, show_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from projections.folds.schedule import Schedule

LOCAL = "%a %Y-%m-%d %H:%M"


def show_schedule(schedule: Schedule, now: datetime) -> None:
    """Print one schedule, with the state of its runs."""
    last = schedule.last_backup_at
    facts = [
        ("user", schedule.user_id),
        ("backups", _rhythm(schedule)),
        ("keeps", _kept(schedule)),
        ("state", state_of(schedule)),
        ("last", moments.both(last, now) if last else "none yet"),
        ("next", _next(schedule, now)),
    ]
    show_facts(facts)


def show_schedules(schedules: Sequence[Schedule], orphans: set[int], now: datetime) -> None:
    """Print several schedules, one row each; `orphans` are users who do not exist any more."""
    table = new_table("User", "Backups", "Keep", "Last", "Next (UTC)", right=("User", "Keep"))
    for each in schedules:
        mood = "orphan: no such user" if each.user_id in orphans else state_of(each)
        upcoming = moments.minute(each.next_backup_at) if each.next_backup_at else mood
        far = moments.relative(each.next_backup_at, now) if each.next_backup_at else ""
        mark = "" if mood in ("on", upcoming) else mood
        last = moments.relative(each.last_backup_at, now) if each.last_backup_at else "never"
        lines = tuple(line for line in (upcoming, far, mark) if line)
        rhythm = (each.cron or f"{each.frequency} {each.backup_time}", each.timezone)
        cells = (each.user_id, rhythm, each.keep_count, last, lines)
        add_row(table, *cells, style="dim" if not each.enabled else None)
    show_table(table)


def show_runs(
    runs: Sequence[datetime], odd: Sequence[str | None], schedule: Schedule, now: datetime
) -> None:
    """Print when the next runs are, in UTC and in the schedule's time zone, with each remark."""
    from commands.schedules.local_time import zone
    from commands.schedules.rhythm import zone_problem

    problem = zone_problem(schedule)
    table = new_table("Next runs (UTC)", f"In {schedule.timezone}", "")
    for each, remark in zip(runs, odd, strict=True):
        local = "unknown here" if problem else f"{each.astimezone(zone(schedule.timezone)):{LOCAL}}"
        far = moments.relative(each, now)
        add_row(table, moments.exact(each), local, (far, remark) if remark else far)
    show_table(table)
    if problem:
        say(f"These runs will fail: {problem}")


def _kept(schedule: Schedule) -> str:
    """How many stay, and what stays beside them."""
    periods = (
        (schedule.keep_daily, "day"),
        (schedule.keep_weekly, "week"),
        (schedule.keep_monthly, "month"),
        (schedule.keep_yearly, "year"),
    )
    also = [
        f"one per {name} for {moments.count(number, name)}" for number, name in periods if number
    ]
    if schedule.keep_within_days:
        also.insert(0, f"all of the last {moments.count(schedule.keep_within_days, 'day')}")
    newest = f"the newest {schedule.keep_count}"
    return f"{newest}; also {', '.join(also)}" if also else newest


def _rhythm(schedule: Schedule) -> str:
    from commands.schedules.rhythm import described

    return described(schedule)


def state_of(schedule: Schedule) -> str:
    """The state of a schedule in a word or two, such as "on" or "failed once"."""
    if not schedule.enabled:
        return "disabled"
    if schedule.paused:
        return "paused"
    if schedule.open_run_id is not None:
        return "running"
    if schedule.failures:
        times = "once" if schedule.failures == 1 else f"{schedule.failures} times in a row"
        return f"failed {times}"
    return "on"


def _next(schedule: Schedule, now: datetime) -> str:
    if schedule.next_backup_at is None:
        return "none"
    retry = f", attempt {schedule.next_attempt}" if schedule.next_attempt > 1 else ""
    return moments.both(schedule.next_backup_at, now) + retry
