"""What comes after a run: the next one, a retry, and slots that passed while it was open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.schedules.rules import catch_up, has_retry_left, next_slot, retry_delay, spread_offset
from commands.schedules.settings import next_run
from ledger.append.ledger import Draft
from ledger.events.scheduling import SlotsMissed
from ledger.vocabulary import schedule_stream

if TYPE_CHECKING:
    from datetime import datetime

    from commands.runs.claim import Claim
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from projections.folds.schedule import Schedule


def after_failure(
    site: Site, context: Context, schedule: Schedule | None, claim: Claim
) -> datetime | None:
    """The retry, or the next slot where none is left; None where nothing is to run."""
    if schedule is None or not schedule.enabled or schedule.paused:
        return None
    if has_retry_left(claim.attempt):
        return site.clock.now() + retry_delay(claim.attempt, site.random)
    return next_after(site, context, schedule, claim)


def next_after(site: Site, context: Context, schedule: Schedule, claim: Claim) -> datetime | None:
    """The next run, counted from now; but never the same slot again.

    Whoever finishes a run that another machine claimed may have a clock before the slot.
    """
    offset = spread_offset(claim.user_id, site.configuration.spread_seconds)
    return next_run(site, schedule, max(context.now, claim.slot + offset))


def dropped_slots(
    site: Site, context: Context, schedule: Schedule | None, claim: Claim
) -> list[Draft]:
    """The slots that passed while this run was open: nobody will run them, so that is recorded."""
    if schedule is None or not schedule.enabled or schedule.paused:
        return []
    rule = (schedule.frequency, schedule.backup_time)
    months = site.configuration.calendar_months
    now = context.now - spread_offset(claim.user_id, site.configuration.spread_seconds)
    first = next_slot(*rule, claim.slot, schedule.timezone, calendar_months=months)
    if first > now:
        return []
    last = catch_up(*rule, first, now, schedule.timezone, calendar_months=months)
    count = last.missed + 1
    details = SlotsMissed(first_slot=first, last_slot=last.slot, count=count)
    slots = "1 later slot" if count == 1 else f"{count} later slots"
    message = f"{slots} passed while this run was unfinished"
    stream = schedule_stream(claim.user_id)
    return [Draft(stream, details, claim.user_id, error_message=message)]
