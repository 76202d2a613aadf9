"""How a run ends badly: failed, or abandoned by an owner who is gone.

Every append of a run is fenced: under the head lock its lease must be there, ours, unexpired.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from commands.next_slots import after_failure, dropped_slots
from commands.run_schedules import RunSchedules
from commands.schedule_rules import has_retry_left
from ledger.application import Draft
from ledger.errors import LeaseLost
from ledger.events.scheduling import BackupAbandoned, BackupFailed
from ledger.operational import require_lease
from ledger.vocabulary import schedule_stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from commands.claims import Claim
    from commands.site import Site
    from ledger.application import Context
    from ledger.recorder import LockedHead

logger = logging.getLogger("backup_ledger.runs")


def fail_run(site: Site, context: Context, claim: Claim, error: Exception) -> None:
    """Record that a run failed, and when it is tried again."""
    logger.warning("backup of user %s failed: %s", claim.user_id, error)

    def failed(next_backup_at: datetime | None) -> BackupFailed:
        return BackupFailed(
            run_id=claim.run_id,
            slot=claim.slot,
            attempt=claim.attempt,
            error_type=type(error).__name__,
            next_backup_at=next_backup_at,
        )

    _end(site, context, claim, failed, str(error) or type(error).__name__)


def abandon_run(site: Site, context: Context, claim: Claim, owner: str) -> None:
    """Record that a claim's owner is gone; the slot is tried again. The caller has checked."""

    def abandoned(next_backup_at: datetime | None) -> BackupAbandoned:
        return BackupAbandoned(
            run_id=claim.run_id,
            slot=claim.slot,
            attempt=claim.attempt,
            scheduler=owner,
            next_backup_at=next_backup_at,
        )

    message = f"the scheduler {owner} went away during the run"
    _end(site, context, claim, abandoned, message)


def _end(
    site: Site,
    context: Context,
    claim: Claim,
    make: Callable[[datetime | None], BackupFailed | BackupAbandoned],
    message: str,
) -> None:
    """Append the outcome, if the run is still ours. `make`: from when it is tried again."""
    schedules = RunSchedules.of(site, [claim.user_id])

    def decide(locked: LockedHead) -> list[Draft]:
        require_lease(locked.connection, claim.run_id, site.instance, site.clock.monotonic())
        schedule = schedules.under(locked).get(claim.user_id)
        details = make(after_failure(site, context, schedule, claim))
        stream = schedule_stream(claim.user_id)
        outcome = Draft(stream, details, claim.user_id, error_message=message)
        if has_retry_left(claim.attempt):
            return [outcome]
        return [outcome, *dropped_slots(site, context, schedule, claim)]

    run_context = context.correlated(claim.run_id).caused_by(claim.run_id)
    try:
        recorded = site.ledger.decide(run_context, decide)
    except LeaseLost as lost:
        logger.warning("%s", lost)
        return
    finally:
        site.active_runs.discard(claim.run_id)
    site.announce(recorded)
