"""How runs end badly: failed, or abandoned by an owner who is gone; one append for many.

Every append of a run is fenced: under the head lock its lease must be there, ours, unexpired.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from commands.errors import message_of
from commands.runs.batches import batch_with_fallback, batches
from commands.runs.endings import append_ends
from commands.runs.next_slot import after_failure, dropped_slots
from commands.runs.schedules import RunSchedules
from ledger.append.ledger import Draft
from ledger.errors import LeaseLost
from ledger.events.scheduling import BackupAbandoned, BackupFailed
from ledger.vocabulary import schedule_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.runs.claim import Claim
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from projections.folds.schedule import Schedule

logger = logging.getLogger("backup_ledger.runs")


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that came to nothing. `owner`: who went away or gave it up; None where it failed."""

    claim: Claim
    error: Exception | None = None
    owner: str | None = None
    was_given_up: bool = False
    """By an owner who is still there: it was stopped at once, or the server was away."""

    @property
    def run_id(self) -> str:
        return self.claim.run_id

    @property
    def message(self) -> str:
        if self.owner is not None:
            how = "gave the run up" if self.was_given_up else "went away during the run"
            return f"the scheduler {self.owner} {how}"
        assert self.error is not None
        return message_of(self.error)


def fail_runs(site: Site, context: Context, failures: Sequence[Failure]) -> set[str]:
    """Record that runs failed or were abandoned, and when each is tried again; their run_ids.

    Of a run whose lease is lost nothing is appended. What cannot be recorded is logged: the run
    stays open, and is ended when its lease is over.

    Raises:
        LedgerBusy: nothing can be appended now, for whomever.
    """
    recorded: set[str] = set()
    try:
        for some in batches(failures):
            batch = batch_with_fallback(some, partial(_record, site, context))
            recorded.update(*batch.results)
            for failure, error in batch.failures:
                run_id = failure.run_id
                logger.error("the end of run %s could not be recorded", run_id, exc_info=error)
    finally:
        site.owner.leases.difference_update(each.run_id for each in failures)
    return recorded


def _record(site: Site, context: Context, failures: Sequence[Failure]) -> set[str]:
    claims = [each.claim for each in failures]
    schedules = RunSchedules.of(site, [claim.user_id for claim in claims])
    by_run = {each.run_id: each for each in failures}

    def drafts_of(claim: Claim, schedule: Schedule | None) -> list[Draft]:
        return _drafts(site, context, by_run[claim.run_id], schedule)

    held = append_ends(site, context, claims, schedules, drafts_of)
    for run_id in by_run.keys() - held:
        logger.warning("%s", LeaseLost(run_id))
    return held


def _drafts(
    site: Site, context: Context, failure: Failure, schedule: Schedule | None
) -> list[Draft]:
    claim = failure.claim
    ahead = after_failure(site, context, schedule, claim)
    details: BackupFailed | BackupAbandoned
    if failure.owner is None:
        details = BackupFailed(
            run_id=claim.run_id,
            slot=claim.slot,
            attempt=claim.attempt,
            error_type=type(failure.error).__name__,
            next_backup_at=ahead.at,
            next_slot=ahead.slot,
        )
    else:
        details = BackupAbandoned(
            run_id=claim.run_id,
            slot=claim.slot,
            attempt=claim.attempt,
            scheduler=failure.owner,
            next_backup_at=ahead.at,
            next_slot=ahead.slot,
        )
    stream = schedule_stream(claim.user_id)
    outcome = Draft(stream, details, claim.user_id, error_message=failure.message)
    if ahead.slot == claim.slot:  # it is tried again, and that run finds what passed meanwhile
        return [outcome]
    return [outcome, *dropped_slots(site, context, schedule, claim)]
