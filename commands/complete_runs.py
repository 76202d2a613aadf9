"""How runs end well: each owner's retention, then that they are done; one append for many.

Users who are due together share a snapshot, and here also the appends: a server's head is locked
once for fifty of them and not once for each. What is appended for one does not depend on another:
a run that lost its lease is left out, and what cannot be recorded together is recorded alone.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from commands.apply_retention import Order, announce_retention, finish_retention, of_run
from commands.next_slots import dropped_slots, next_after
from commands.retention_events import failed_draft
from commands.run_schedules import RunSchedules
from ledger.application import Draft
from ledger.errors import LeaseLost, LedgerBusy
from ledger.events.catalog import BackupDeleted
from ledger.events.scheduling import BackupCompleted
from ledger.operational import runs_held_among
from ledger.vocabulary import schedule_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.claims import Claim
    from commands.site import Site
    from ledger.application import Context, RecordedEvent
    from ledger.recorder import LockedHead
    from projections.backup import Backup
    from projections.schedule import Schedule

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

    Of a run whose lease is lost nothing is appended: somebody else has taken it over.

    Raises:
        LedgerBusy: nothing can be appended now, for whomever; a failure could not be either.
    """
    ended = Ended()
    schedules = RunSchedules.of(site, [each.claim.user_id for each in made])
    retained = _retain(site, context, made, schedules)
    held = [each for each in made if each.run_id in retained]
    _record(site, context, held, retained, schedules, ended)
    for each in made:
        if each.run_id not in ended.completed and each.run_id not in ended.failed:
            logger.warning("%s", LeaseLost(each.run_id))
    over = {each.run_id for each in made} - ended.failed.keys()
    site.active_runs.difference_update(over)
    return ended


def _retain(
    site: Site, context: Context, made: Sequence[Made], schedules: RunSchedules
) -> dict[str, list[Draft]]:
    """What is to be recorded of each run's retention; a failure is that, and fails no run."""
    orders = [
        Order(schedules.keep_count(each.claim.user_id), each.claim.user_id, each.run_id)
        for each in made
    ]
    try:
        outcomes = announce_retention(site, context, orders)
        return {str(outcome.order.run_id): finish_retention(site, outcome) for outcome in outcomes}
    except LedgerBusy:
        raise
    except Exception as error:
        if len(made) > 1:
            alone = (_retain(site, context, [each], schedules) for each in made)
            return {run_id: drafts for found in alone for run_id, drafts in found.items()}
        (order,) = orders
        logger.exception("retention for user %s failed", order.user_id)
        return {made[0].run_id: [failed_draft(order.keep_count, order.user_id, error)]}


def _record(
    site: Site,
    context: Context,
    made: Sequence[Made],
    retained: dict[str, list[Draft]],
    schedules: RunSchedules,
    ended: Ended,
) -> None:
    """Append that the runs are done, together or, where that fails, each alone."""
    if not made:
        return
    done: list[Made] = []

    def decide(locked: LockedHead) -> list[Draft]:
        runs = [each.run_id for each in made]
        held = runs_held_among(locked.connection, runs, site.instance, site.clock.monotonic())
        done[:] = [each for each in made if each.run_id in held]
        now = schedules.under(locked)
        return [
            of_run(draft, each.run_id)
            for each in done
            for draft in _done(site, context, each, retained[each.run_id], now)
        ]

    try:
        recorded: list[RecordedEvent] = site.ledger.decide(context, decide)
    except LedgerBusy:
        raise
    except Exception as error:  # noqa: BLE001  (the caller records it, for the run that it is of)
        if len(made) == 1:
            ended.failed[made[0].run_id] = error
            return
        for each in made:
            _record(site, context, [each], retained, schedules, ended)
        return
    ended.completed.update(each.run_id for each in done)
    if recorded:
        site.announce(recorded)


def _done(
    site: Site,
    context: Context,
    made: Made,
    retained: Sequence[Draft],
    schedules: dict[int, Schedule],
) -> list[Draft]:
    """The end of one run: what its retention did, that it is done, and slots that nobody ran."""
    claim, backup = made.claim, made.backup
    schedule = schedules.get(claim.user_id)
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
        next_backup_at=None if schedule is None else next_after(site, context, schedule, claim),
        deleted_old_backups=sum(isinstance(draft.details, BackupDeleted) for draft in retained),
    )
    done = Draft(schedule_stream(claim.user_id), details, claim.user_id)
    return [*retained, done, *dropped_slots(site, context, schedule, claim)]
