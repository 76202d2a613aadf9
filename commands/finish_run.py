"""How a run ends: completed with its owner's retention, failed, or abandoned.

Every append of a run is fenced: under the head lock its lease must be there, ours, unexpired.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.apply_retention import (
    announce_retention,
    failed_draft,
    finish_retention,
)
from commands.configure_backups import next_run
from commands.ledger_reading import events_after, position_of
from commands.schedule_rules import (
    catch_up,
    has_retry_left,
    next_slot,
    retry_delay,
    spread_offset,
)
from ledger.application import Draft
from ledger.errors import LeaseLost
from ledger.events.catalog import BackupDeleted
from ledger.events.scheduling import BackupAbandoned, BackupCompleted, BackupFailed, SlotsMissed
from ledger.operational import require_lease
from ledger.vocabulary import schedule_stream
from projections.schedule import Schedule, evolve_schedule
from projections.schedule_queries import schedule_of

if TYPE_CHECKING:
    from datetime import datetime

    from commands.claims import Claim
    from commands.site import Site
    from ledger.application import Context
    from ledger.recorder import LockedHead
    from projections.backup import Backup

logger = logging.getLogger("backup_ledger.runs")
DEFAULT_KEEP_COUNT = 7


@dataclass(frozen=True, slots=True)
class _Known:
    """A schedule as a read model has it, and the position where that stands."""

    schedule: Schedule | None
    position: int

    def under(self, locked: LockedHead) -> Schedule | None:
        """The same with what was appended since."""
        schedule = self.schedule
        for _, event in events_after(locked, self.position):
            if schedule is not None and event.stream == schedule_stream(schedule.user_id):
                schedule = evolve_schedule(schedule, event)
        return schedule


def complete_run(site: Site, context: Context, claim: Claim, backup: Backup) -> None:
    """Apply the owner's retention, then record that the run is done.

    Raises:
        LeaseLost: somebody else took the run over; nothing was appended.
    """
    run_context = context.correlated(claim.run_id).caused_by(claim.run_id)
    known = _know(site, claim.user_id)
    keep_count = known.schedule.keep_count if known.schedule else DEFAULT_KEEP_COUNT
    drafts = _retain(site, run_context, claim, keep_count)
    deleted = sum(isinstance(draft.details, BackupDeleted) for draft in drafts)

    def decide(locked: LockedHead) -> list[Draft]:
        require_lease(locked.connection, claim.run_id, site.instance, site.clock.monotonic())
        schedule = known.under(locked)
        details = BackupCompleted(
            run_id=claim.run_id,
            backup_id=backup.backup_id,
            filename=backup.filename,
            size=backup.size,
            sha256=backup.sha256,
            frequency=schedule.frequency if schedule else "daily",
            slot=claim.slot,
            attempt=claim.attempt,
            started_at=claim.started_at,
            next_backup_at=None
            if schedule is None
            else _next_after(site, context, schedule, claim),
            deleted_old_backups=deleted,
        )
        done = Draft(schedule_stream(claim.user_id), details, claim.user_id)
        return [*drafts, done, *_dropped(site, context, schedule, claim)]

    recorded = site.ledger.decide(run_context, decide)
    site.active_runs.discard(claim.run_id)
    site.announce(recorded)


def fail_run(site: Site, context: Context, claim: Claim, error: Exception) -> None:
    """Record that a run failed, and when it is tried again."""
    logger.warning("backup of user %s failed: %s", claim.user_id, error)
    known = _know(site, claim.user_id)

    def decide(locked: LockedHead) -> list[Draft]:
        require_lease(locked.connection, claim.run_id, site.instance, site.clock.monotonic())
        schedule = known.under(locked)
        details = BackupFailed(
            run_id=claim.run_id,
            slot=claim.slot,
            attempt=claim.attempt,
            error_type=type(error).__name__,
            next_backup_at=after_failure(site, context, schedule, claim),
        )
        message = str(error) or type(error).__name__
        stream = schedule_stream(claim.user_id)
        failed = Draft(stream, details, claim.user_id, error_message=message)
        if has_retry_left(claim.attempt):
            return [failed]
        return [failed, *_dropped(site, context, schedule, claim)]

    _append_outcome(site, context, claim, decide)


def abandon_run(site: Site, context: Context, claim: Claim, owner: str) -> None:
    """Record that a claim's owner is gone; the slot is tried again. The caller has checked."""
    known = _know(site, claim.user_id)

    def decide(locked: LockedHead) -> list[Draft]:
        require_lease(locked.connection, claim.run_id, site.instance, site.clock.monotonic())
        schedule = known.under(locked)
        details = BackupAbandoned(
            run_id=claim.run_id,
            slot=claim.slot,
            attempt=claim.attempt,
            scheduler=owner,
            next_backup_at=after_failure(site, context, schedule, claim),
        )
        message = f"the scheduler {owner} went away during the run"
        stream = schedule_stream(claim.user_id)
        failed = Draft(stream, details, claim.user_id, error_message=message)
        if has_retry_left(claim.attempt):
            return [failed]
        return [failed, *_dropped(site, context, schedule, claim)]

    _append_outcome(site, context, claim, decide)


def after_failure(
    site: Site, context: Context, schedule: Schedule | None, claim: Claim
) -> datetime | None:
    """The retry, or the next slot where none is left; None where nothing is to run."""
    if schedule is None or not schedule.enabled or schedule.paused:
        return None
    if has_retry_left(claim.attempt):
        return site.clock.now() + retry_delay(claim.attempt, site.random)
    return _next_after(site, context, schedule, claim)


def _next_after(site: Site, context: Context, schedule: Schedule, claim: Claim) -> datetime | None:
    """The next run, counted from now; but never the same slot again.

    Whoever finishes a run that another machine claimed may have a clock before the slot.
    """
    offset = spread_offset(claim.user_id, site.configuration.spread_seconds)
    return next_run(site, schedule, max(context.now, claim.slot + offset))


def _dropped(site: Site, context: Context, schedule: Schedule | None, claim: Claim) -> list[Draft]:
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


def _append_outcome(site: Site, context: Context, claim: Claim, decide: object) -> None:
    run_context = context.correlated(claim.run_id).caused_by(claim.run_id)
    try:
        recorded = site.ledger.decide(run_context, decide)  # type: ignore[arg-type]
    except LeaseLost as lost:
        logger.warning("%s", lost)
        return
    finally:
        site.active_runs.discard(claim.run_id)
    site.announce(recorded)


def _retain(site: Site, context: Context, claim: Claim, keep_count: int) -> list[Draft]:
    """The owner's retention; its failure is recorded and does not fail the run."""
    try:
        fence = [(claim.run_id, site.instance)]
        outcome = announce_retention(site, context, keep_count, claim.user_id, fence=fence)
        return finish_retention(site, outcome, keep_count, claim.user_id)
    except LeaseLost:
        raise
    except Exception as error:
        logger.exception("retention for user %s failed", claim.user_id)
        return [failed_draft(keep_count, claim.user_id, error)]


def _know(site: Site, user_id: int) -> _Known:
    with site.read_models.reading(at_head=False) as connection:
        return _Known(schedule_of(connection, user_id), position_of(connection))
