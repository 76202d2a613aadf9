"""Claiming due runs: whoever appends `backup_started` owns the run.

Slot, attempt and stream version come from the row of the read model; the append expects that
version, so a stale row loses and a slot never runs twice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.runs.corrections import moved_from
from commands.schedules.rhythm import Rhythm, local_day, zone_problem
from commands.schedules.rules import CatchUp
from ledger.append.clock_doubt import last_jump_ahead
from ledger.append.ledger import Draft
from ledger.clock import from_microseconds, to_microseconds
from ledger.errors import ConcurrencyConflict
from ledger.events.scheduling import BackupStarted, SlotsMissed
from ledger.vocabulary import schedule_stream
from projections.folds.schedule import evolve_schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.site.site import Site
    from ledger.append.ledger import Context
    from projections.folds.schedule import Schedule

logger = logging.getLogger("backup_ledger.claims")


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that somebody owns. `problem`: why it fails before it begins, where it does."""

    run_id: str
    user_id: int
    slot: datetime
    attempt: int
    started_at: datetime
    missed: int = 0
    local_day: str | None = None
    """The day of the claim in the schedule's time zone; None for a run that was taken over."""
    problem: Exception | None = None


def claim_due(site: Site, context: Context, due: Sequence[Schedule]) -> list[Claim]:
    """Claim runs in one append; those that somebody else claimed first are left out."""
    site.hold_owner_lock()  # its lock is held before the first claim
    wanted, passed_over = list(due), _passed_over(site, context)
    while wanted:
        made = [
            claim for each in wanted if (claim := _claim_or_none(site, context, each, passed_over))
        ]
        try:
            recorded = site.ledger.append(
                context, *(draft for _, drafts in made for draft in drafts)
            )
        except ConcurrencyConflict as conflict:
            lost = set(conflict.streams)
            wanted = [each for each in wanted if schedule_stream(each.user_id) not in lost]
            continue
        started = {each.event.event_id: each.event.timestamp for each in recorded}
        site.owner.leases.update(claim.run_id for claim, _ in made)
        site.notify(recorded, is_last=False)
        return [replace(claim, started_at=started[claim.run_id]) for claim, _ in made]
    return []


def _claim_or_none(
    site: Site, context: Context, schedule: Schedule, passed_over: datetime | None
) -> tuple[Claim, list[Draft]] | None:
    """A row that makes no sense is looked up in the ledger; its user disturbs nobody else."""
    claimed = None
    try:
        claimed = _claim(site, context, schedule, passed_over)
        problem = claimed[0].problem
    except ValueError as error:
        problem = error
    if problem is None:
        return claimed
    try:
        truth = site.ledger.fold(schedule_stream(schedule.user_id), evolve_schedule)
        if claimed is not None and truth is not None and truth.timezone == schedule.timezone:
            return claimed  # the row is right: this machine does not know the zone
        reason = f"the row of user {schedule.user_id} made no sense: {problem}"
        logger.error("%s", reason)
        claimed = None if truth is None else _claim(site, context, truth, passed_over)
    except ValueError:
        logger.exception("user %s has a schedule that cannot be read", schedule.user_id)
        return None
    site.read_models.fold_anew(reason)
    return claimed


def _claim(
    site: Site, context: Context, schedule: Schedule, passed_over: datetime | None
) -> tuple[Claim, list[Draft]]:
    run_id = str(uuid4())
    caught = _caught_up(site, context, schedule, passed_over)
    attempt = 1 if caught.missed else schedule.next_attempt
    stream = schedule_stream(schedule.user_id)
    details = BackupStarted(
        slot=caught.slot,
        attempt=attempt,
        scheduler=site.instance,
        lease_seconds=site.configuration.lease_seconds,
    )
    drafts = [
        Draft(
            stream,
            details,
            schedule.user_id,
            expected_version=schedule.stream_version,
            event_id=run_id,
            correlation_id=run_id,
        )
    ]
    if caught.first_missed is not None and caught.last_missed is not None:
        missed = SlotsMissed(
            first_slot=caught.first_missed, last_slot=caught.last_missed, count=caught.missed
        )
        slots = "1 earlier slot" if caught.missed == 1 else f"{caught.missed} earlier slots"
        message = f"{slots} passed without a backup; this run catches up"
        drafts.append(
            Draft(
                stream,
                missed,
                schedule.user_id,
                error_message=message,
                causation_id=run_id,
                correlation_id=run_id,
            )
        )
    claim = Claim(
        run_id,
        schedule.user_id,
        caught.slot,
        attempt,
        context.now,
        caught.missed,
        local_day=local_day(schedule, context.now),
        problem=zone_problem(schedule),
    )
    return claim, drafts


def _caught_up(
    site: Site, context: Context, schedule: Schedule, passed_over: datetime | None
) -> CatchUp:
    """The latest slot that has come, and the earlier ones that nobody ran."""
    rhythm = Rhythm.of(site.configuration, schedule)
    stored = schedule.next_slot
    if stored is None:
        stored = rhythm.slot_of(schedule.next_backup_at or context.now)
    if rhythm.problem is not None:
        return CatchUp(stored, None, None, 0)
    was_at = schedule.missed_from
    if was_at is None or was_at <= stored:
        return rhythm.caught_up(stored, context.now, passed_over)
    present = context.now - rhythm.offset
    if was_at <= present:
        return rhythm.caught_up(rhythm.slot_of(was_at), context.now)
    if schedule.is_recomputed:  # moved by a clock that was behind, after one that was ahead
        for slot in moved_from(site, schedule):
            if stored < slot <= present:
                return rhythm.caught_up(slot, context.now)
    not_before = was_at if schedule.is_recomputed else passed_over
    return rhythm.caught_up(stored, context.now, not_before)


def _passed_over(site: Site, context: Context) -> datetime | None:
    """Where the last jump ahead led: slots before it were passed over, and nobody missed them.

    A clock without a battery shows 1970 until the network tells it the time.
    """
    with site.ledger.engine.connect() as ledger:
        led_to = last_jump_ahead(ledger, to_microseconds(context.now))
    return None if led_to is None else from_microseconds(led_to)
