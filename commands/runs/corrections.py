"""Next runs that a wrong clock moved: recomputed, or put back where they were; each is recorded."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING

from commands.schedules.cron import CronSlots
from commands.schedules.local_time import is_known
from commands.schedules.rhythm import NOTHING, NextRun, Rhythm, runs
from ledger.append.ledger import Draft
from ledger.clock import format_instant, parse_instant
from ledger.errors import ConcurrencyConflict
from ledger.events.scheduling import SettingsUpdated
from ledger.vocabulary import BackupFrequency, schedule_stream
from projections.queries.due import (
    cron_expressions,
    cron_schedules_beyond,
    schedules_beyond,
    schedules_moved_from,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from commands.site.site import Site
    from ledger.append.ledger import Context
    from projections.folds.schedule import Schedule

logger = logging.getLogger("backup_ledger.runs")
_LONGEST_STEP = {
    BackupFrequency.DAILY: timedelta(days=1),
    BackupFrequency.WEEKLY: timedelta(days=7),
    BackupFrequency.MONTHLY: timedelta(days=30),
}
_LONGEST_WAIT = timedelta(days=33)
"""A month, the user's offset, and a day for zones: a slot that is further ahead is not the next."""


def correct_next_runs(site: Site, context: Context) -> int:
    """Correct times that only a wrong clock can have set; how many.

    Too far ahead: the clock was ahead when they were set, or is behind now. Long past, while the
    slot that they stood at before is still to come: the clock was behind when they were set.
    """
    now = context.now
    limits = {str(name): now + step for name, step in _LONGEST_STEP.items()}
    with site.read_models.reading(at_head=False) as connection:
        suspects = schedules_beyond(connection, limits)
        expressions = cron_expressions(connection)
        suspects += cron_schedules_beyond(connection, dict(_latest_firsts(site, expressions, now)))
        moved = schedules_moved_from(connection, now, now + _LONGEST_WAIT)
    corrected = 0
    for schedule in suspects:
        due = schedule.next_backup_at
        if due is not None and Rhythm.of(site.configuration, schedule).is_too_far(due, now):
            corrected += _correct(site, context, schedule, _recomputed(site, schedule, now))
    for schedule in moved:
        ahead = _where_it_was(site, schedule, now)
        if ahead is not None:
            corrected += _correct(site, context, schedule, ahead)
    return corrected


def _latest_firsts(
    site: Site, expressions: Sequence[tuple[str, str]], now: datetime
) -> Iterator[tuple[tuple[str, str], datetime]]:
    """For each cron expression and zone, when the last of its users runs next."""
    offset = timedelta(seconds=site.configuration.spread_seconds)
    for expression, timezone in expressions:
        slots = CronSlots(expression, timezone if is_known(timezone) else "UTC")
        try:
            yield (expression, timezone), slots.after(now) + offset
        except ValueError:
            logger.exception("the schedules of cron %r cannot be counted", expression)


def _recomputed(site: Site, schedule: Schedule, now: datetime) -> NextRun:
    return Rhythm.of(site.configuration, schedule).corrected(now) if runs(schedule) else NOTHING


def _where_it_was(site: Site, schedule: Schedule, now: datetime) -> NextRun | None:
    """The next run as it stood before a clock fell behind; None where it need not go back."""
    due, was_at = schedule.next_backup_at, schedule.missed_from
    rhythm = Rhythm.of(site.configuration, schedule)
    if due is None or was_at is None or rhythm.problem is not None or not runs(schedule):
        return None
    if schedule.open_run_id is not None or not rhythm.is_too_far(now, due):
        return None
    for slot in chain([rhythm.slot_of(was_at)], moved_from(site, schedule)):
        at = slot + rhythm.offset
        if at > now and not rhythm.is_too_far(at, now):
            return NextRun(at, slot)
    return None


def moved_from(site: Site, schedule: Schedule) -> Iterator[datetime]:
    """The slots that corrections moved it from, the newest first."""
    for event in reversed(list(site.ledger.stream(schedule_stream(schedule.user_id)))):
        details = event.details
        if isinstance(details, SettingsUpdated) and details.before.get("next_slot") is not None:
            yield parse_instant(str(details.before["next_slot"]))


def _correct(site: Site, context: Context, schedule: Schedule, ahead: NextRun) -> int:
    details = SettingsUpdated(
        before=_recorded(NextRun(schedule.next_backup_at, schedule.next_slot)),
        after=_recorded(ahead),
        next_backup_at=ahead.at,
        next_slot=ahead.slot,
        anchor_day=None,
    )
    draft = Draft(
        schedule_stream(schedule.user_id),
        details,
        schedule.user_id,
        expected_version=schedule.stream_version,
    )
    try:
        site.notify(site.ledger.append(context, draft))
    except ConcurrencyConflict:
        return 0  # somebody changed it meanwhile
    return 1


def _recorded(run: NextRun) -> dict[str, str | int | bool | None]:
    named = {"next_backup_at": run.at, "next_slot": run.slot}
    return {name: None if when is None else format_instant(when) for name, when in named.items()}
