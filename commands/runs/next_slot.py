"""What comes after a run: the next one, a retry, and slots that passed while it was open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.schedules.rhythm import NOTHING, NextRun, Rhythm, runs
from commands.schedules.rules import has_retry_left, retry_delay
from ledger.append.ledger import Draft
from ledger.events.scheduling import SlotsMissed
from ledger.vocabulary import schedule_stream

if TYPE_CHECKING:
    from commands.runs.claim import Claim
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from projections.folds.schedule import Schedule


def after_failure(site: Site, context: Context, schedule: Schedule | None, claim: Claim) -> NextRun:
    """The retry, or the next slot where none is left or it would come first."""
    ahead = next_after(site, context, schedule, claim)
    if ahead.at is None or schedule is None or _was_changed(schedule, claim):
        return ahead
    if has_retry_left(claim.attempt):
        retry = site.clock.now() + retry_delay(claim.attempt, site.random)
        if retry < (ahead.slot or ahead.at):
            return NextRun(retry, claim.slot)
    return ahead


def next_after(site: Site, context: Context, schedule: Schedule | None, claim: Claim) -> NextRun:
    """The next run, counted from the slot of this one; never the same slot again.

    Where a field that decides times was changed since the claim, what that computed stands.
    """
    if schedule is None or not runs(schedule):
        return NOTHING
    if _was_changed(schedule, claim):
        return NextRun(schedule.next_backup_at, schedule.next_slot)
    return Rhythm.of(site.configuration, schedule).after(claim.slot, context.now)


def _was_changed(schedule: Schedule, claim: Claim) -> bool:
    # A claim makes its slot the schedule's; only a change or a correction moves it from there.
    return schedule.next_slot != claim.slot


def dropped_slots(
    site: Site, context: Context, schedule: Schedule | None, claim: Claim
) -> list[Draft]:
    """The slots that passed while this run was open: nobody will run them, so that is recorded."""
    if schedule is None or not runs(schedule) or _was_changed(schedule, claim):
        return []
    rhythm = Rhythm.of(site.configuration, schedule)
    found = rhythm.caught_up(claim.slot, context.now)
    if found.slot == claim.slot:
        return []
    first = rhythm.after(claim.slot, claim.slot + rhythm.offset)
    assert first.at is not None
    details = SlotsMissed(
        first_slot=first.at - rhythm.offset, last_slot=found.slot, count=max(found.missed, 1)
    )
    slots = "1 later slot" if details.count == 1 else f"{details.count} later slots"
    message = f"{slots} passed while this run was unfinished"
    stream = schedule_stream(claim.user_id)
    return [Draft(stream, details, claim.user_id, error_message=message)]
