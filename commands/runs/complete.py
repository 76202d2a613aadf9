"""How runs end well: each owner's retention, then that they are done; one append for many.

Users who are due together share a snapshot, and here also the appends: a server's head is locked
once for fifty of them and not once for each. What is appended for one does not depend on another:
a run that lost its lease is left out, and what cannot be recorded together is recorded alone.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from commands.retention.apply import Order, begin_retention, finish_retention
from commands.retention.drafts import failed_draft
from commands.runs.batches import batch_with_fallback
from commands.runs.endings import append_ends
from commands.runs.next_slot import dropped_slots, next_after
from commands.runs.schedules import RunSchedules
from ledger.append.ledger import Draft
from ledger.errors import LeaseLost
from ledger.events.catalog import BackupDeleted
from ledger.events.scheduling import BackupCompleted
from ledger.vocabulary import schedule_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.runs.claim import Claim
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from projections.folds.backup import Backup
    from projections.folds.schedule import Schedule

logger = logging.getLogger("backup_ledger.runs")


@dataclass(frozen=True, slots=True)
class Made:
    """A run whose backup is recorded and published."""

    claim: Claim
    backup: Backup

    @property
    def run_id(self) -> str:
        return self.claim.run_id


@dataclass(slots=True)
class Ended:
    """What became of runs, by run_id; those that are in neither lost their lease."""

    completed: set[str] = field(default_factory=set)
    failed: dict[str, Exception] = field(default_factory=dict)


def complete_runs(site: Site, context: Context, made: Sequence[Made]) -> Ended:
    """Apply each owner's retention, then record that the runs are done.

    Nothing is appended for a run that lost its lease: somebody else has taken it over.

    Raises:
        LedgerBusy: nothing can be appended now, for whomever; a failure could not be either.
    """
    batch = batch_with_fallback(made, partial(_complete, site, context))
    ended = Ended(failed={run.run_id: error for run, error in batch.failures})
    for part in batch.results:
        ended.completed |= part.completed
        ended.failed |= part.failed
    over = {run.run_id for run in made} - ended.failed.keys()
    for run_id in over - ended.completed:
        logger.warning("%s", LeaseLost(run_id))
    site.owner.leases.difference_update(over)
    return ended


def _complete(site: Site, context: Context, made: Sequence[Made]) -> Ended:
    """Retention, then the ends: together or, where that fails, each alone."""
    schedules = RunSchedules.of(site, [run.claim.user_id for run in made])
    retained = _retain(site, context, made, schedules)
    backups = {run.run_id: run.backup for run in made}
    held = [run.claim for run in made if run.run_id in retained]

    def drafts_of(claim: Claim, schedule: Schedule | None) -> list[Draft]:
        made = Made(claim, backups[claim.run_id])
        return _done(site, context, made, retained[claim.run_id], schedule)

    batch = batch_with_fallback(
        held, lambda claims: append_ends(site, context, claims, schedules, drafts_of)
    )
    return Ended(
        completed=set().union(*batch.results),
        failed={claim.run_id: error for claim, error in batch.failures},
    )


def _retain(
    site: Site, context: Context, made: Sequence[Made], schedules: RunSchedules
) -> dict[str, list[Draft]]:
    """What is to be recorded of each run's retention; a failure is that, and fails no run."""
    orders = [
        Order(
            schedules.keep_count(run.claim.user_id),
            run.claim.user_id,
            run.run_id,
            schedules.keep(run.claim.user_id),
        )
        for run in made
    ]
    batch = batch_with_fallback(orders, partial(begin_retention, site, context))
    failures = list(batch.failures)
    retained: dict[str, list[Draft]] = {}
    for outcome in (outcome for outcomes in batch.results for outcome in outcomes):
        # Each alone: what was announced for one is not announced again because another's fails.
        try:
            retained[str(outcome.order.run_id)] = finish_retention(site, outcome)
        except Exception as error:  # noqa: BLE001  (recorded)
            failures.append((outcome.order, error))
    for order, cause in failures:
        logger.error("retention for user %s failed", order.user_id, exc_info=cause)
        failure = failed_draft(order.keep_count, order.user_id, cause)
        retained[str(order.run_id)] = [failure]
    return retained


def _done(
    site: Site,
    context: Context,
    made: Made,
    retained: Sequence[Draft],
    schedule: Schedule | None,
) -> list[Draft]:
    """The end of one run: what its retention did, that it is done, and slots that nobody ran."""
    claim, backup = made.claim, made.backup
    ahead = next_after(site, context, schedule, claim)
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
        next_backup_at=ahead.at,
        next_slot=ahead.slot,
        deleted_old_backups=sum(isinstance(draft.details, BackupDeleted) for draft in retained),
    )
    done = Draft(schedule_stream(claim.user_id), details, claim.user_id)
    return [*retained, done, *dropped_slots(site, context, schedule, claim)]
