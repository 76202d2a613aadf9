"""Claiming due runs: whoever appends `backup_started` owns the run.

Slot, attempt and stream version come from the row of the read model; the append expects that
version, so a stale row loses and a slot never runs twice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.schedules.rules import CatchUp, catch_up, is_too_far_ahead, spread_offset
from commands.schedules.settings import next_run
from ledger.append.ledger import Draft
from ledger.clock import format_instant
from ledger.errors import ConcurrencyConflict
from ledger.events.scheduling import BackupStarted, SettingsUpdated, SlotsMissed
from ledger.vocabulary import BackupFrequency, schedule_stream
from projections.folds.local_time import zone
from projections.folds.schedule import evolve_schedule
from projections.queries.due import schedules_beyond

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.site.site import Site
    from ledger.append.ledger import Context
    from projections.folds.schedule import Schedule

logger = logging.getLogger("backup_ledger.claims")
_LONGEST_STEP = {
    BackupFrequency.DAILY: timedelta(days=1),
    BackupFrequency.WEEKLY: timedelta(days=7),
    BackupFrequency.MONTHLY: timedelta(days=30),
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that somebody owns."""

    run_id: str
    user_id: int
    slot: datetime
    attempt: int
    started_at: datetime
    missed: int = 0
    local_day: str | None = None
    """The day of the claim in the schedule's time zone; None for a run that was taken over."""


def claim_due(site: Site, context: Context, due: Sequence[Schedule]) -> list[Claim]:
    """Claim runs in one append; those that somebody else claimed first are left out."""
    site.hold_owner_lock()  # its lock is held before the first claim
    wanted = list(due)
    while wanted:
        made = [claim for each in wanted if (claim := _claim_or_none(site, context, each))]
        try:
            recorded = site.ledger.append(
                context, *(draft for _, drafts in made for draft in drafts)
            )
        except ConcurrencyConflict as conflict:
            lost = set(conflict.streams)
            wanted = [each for each in wanted if schedule_stream(each.user_id) not in lost]
            continue
        started = {each.event.event_id: each.event.timestamp for each in recorded}
        site.active_runs.update(claim.run_id for claim, _ in made)
        site.announce(recorded, is_last=False)
        return [replace(claim, started_at=started[claim.run_id]) for claim, _ in made]
    return []


def correct_far_ahead(site: Site, context: Context) -> int:
    """Recompute times that only a clock which once jumped can have set; how many."""
    limits = {str(name): context.now + step for name, step in _LONGEST_STEP.items()}
    configuration = site.configuration
    with site.read_models.reading(at_head=False) as connection:
        suspects = schedules_beyond(connection, limits)
    corrected = 0
    for schedule in suspects:
        due = schedule.next_backup_at
        if due is None or not is_too_far_ahead(
            schedule.frequency,
            due,
            context.now,
            spread_seconds=configuration.spread_seconds,
            calendar_months=configuration.calendar_months,
        ):
            continue
        corrected += _correct(site, context, schedule, due)
    return corrected


def _correct(site: Site, context: Context, schedule: Schedule, due: datetime) -> int:
    corrected = next_run(site, schedule, context.now)
    details = SettingsUpdated(
        before={"next_backup_at": format_instant(due)},
        after={"next_backup_at": None if corrected is None else format_instant(corrected)},
        next_backup_at=corrected,
    )
    draft = Draft(
        schedule_stream(schedule.user_id),
        details,
        schedule.user_id,
        expected_version=schedule.stream_version,
    )
    try:
        site.announce(site.ledger.append(context, draft))
    except ConcurrencyConflict:
        return 0  # somebody changed it meanwhile
    return 1


def _claim_or_none(
    site: Site, context: Context, schedule: Schedule
) -> tuple[Claim, list[Draft]] | None:
    """A row that makes no sense is looked up in the ledger; its user disturbs nobody else."""
    try:
        return _claim(site, context, schedule)
    except ValueError as error:
        reason = f"the row of user {schedule.user_id} made no sense: {error}"
        logger.error("%s", reason)  # noqa: TRY400
    stream = schedule_stream(schedule.user_id)
    try:
        truth = site.ledger.fold(stream, evolve_schedule)
        claimed = None if truth is None else _claim(site, context, truth)
    except ValueError:
        logger.exception("user %s has a schedule that cannot be read", schedule.user_id)
        return None
    site.read_models.fold_anew(reason)
    return claimed


def _claim(site: Site, context: Context, schedule: Schedule) -> tuple[Claim, list[Draft]]:
    run_id = str(uuid4())
    caught = _caught_up(site, context, schedule)
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
        message = f"{slots} passed without a backup; this run makes up for it"
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
        local_day=context.now.astimezone(zone(schedule.timezone)).date().isoformat(),
    )
    return claim, drafts


def _caught_up(site: Site, context: Context, schedule: Schedule) -> CatchUp:
    """The latest slot that has come; the user's offset is no part of it."""
    stored = schedule.next_slot or schedule.next_backup_at or context.now
    offset = spread_offset(schedule.user_id, site.configuration.spread_seconds)
    return catch_up(
        schedule.frequency,
        schedule.backup_time,
        stored,
        max(stored, context.now - offset),
        schedule.timezone,
        calendar_months=site.configuration.calendar_months,
    )
