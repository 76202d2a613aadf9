"""Claims whose owner is gone: finish what was committed, abandon the rest."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from commands.backups.staging import staged_of
from commands.runs.batches import batch_with_fallback, batches
from commands.runs.claim import Claim
from commands.runs.complete import Made, complete_runs
from commands.runs.fail import Failure, fail_runs
from commands.site.actors import SYSTEM
from commands.site.fence import is_over
from ledger.append.backend import SECOND
from ledger.append.leases_and_names import (
    Lease,
    all_leases,
    lease_now,
    restore_lease,
    take_over_lease,
)
from ledger.errors import LeaseLost
from ledger.events.catalog import BackupCreated
from ledger.events.scheduling import (
    BackupAbandoned,
    BackupCompleted,
    BackupFailed,
    BackupStarted,
)
from ledger.vocabulary import schedule_stream
from projections.queries.catalog import backups_of_runs, backups_with_ids
from projections.queries.locked import events_after, position_of
from projections.queries.schedules import running_runs, runs_with_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.run import Run

logger = logging.getLogger("backup_ledger.claims")


ENDS_OF_RUNS = (BackupCompleted, BackupFailed, BackupAbandoned)


@dataclass(slots=True)
class _Resolved:
    """How many claims were finished, and how many abandoned."""

    finished: int = 0
    abandoned: int = 0


class _Committed(NamedTuple):
    """The backup that a run recorded, and the store where it is."""

    backup_id: str
    store: str


def resolve_expired_claims(site: Site, context: Context) -> tuple[int, int]:
    """End every claim that is over; how many were finished, how many abandoned."""
    with site.ledger.engine.connect() as connection:
        leases = all_leases(connection)
        now = lease_now(connection, site.clock.monotonic())
    leases += _leases_given_back(site, {lease.run_id for lease in leases})
    return resolve_claims(site, context, [lease for lease in leases if is_over(site, lease, now)])


def _leases_given_back(site: Site, leased: set[str]) -> list[Lease]:
    """Expired leases for open runs that have none: somebody deleted them.

    Without one nobody would ever end the run, and its user would have no further backup.
    """
    with site.read_models.reading(at_head=False) as connection:
        suspects = [run for run in running_runs(connection) if run.run_id not in leased]
        position = position_of(connection)
    if not suspects:
        return []
    owners = {run.run_id: _scheduler_of(site, run) for run in suspects}
    with site.ledger.locked() as locked:
        tail = [event.details for _, event in events_after(locked, position)]
        ended = {each.run_id for each in tail if isinstance(each, ENDS_OF_RUNS)}
        found = [
            restore_lease(locked.connection, run_id, owner)
            for run_id, owner in owners.items()
            if owner is not None and run_id not in ended
        ]
    given = [lease for lease in found if lease is not None]
    for lease in given:
        logger.warning("run %s had lost its lease, and is ended", lease.run_id)
    return given


def _scheduler_of(site: Site, run: Run) -> str | None:
    """Who claimed a run, as the ledger has it; None where it does not know the run."""
    for event in site.ledger.stream(schedule_stream(run.user_id)):
        if event.event_id == run.run_id and isinstance(event.details, BackupStarted):
            return event.details.scheduler
    return None


def resolve_claims_of(site: Site, context: Context, owner: str) -> None:
    """End the claims of an owner who is known to be dead."""
    with site.ledger.engine.connect() as connection:
        leases = [lease for lease in all_leases(connection) if lease.owner == owner]
    resolve_claims(site, context, leases)


def give_up(site: Site) -> None:
    """End what this process was doing when it was stopped at once; nobody waits for leases."""
    site.owner.leases.clear()
    resolve_claims_of(site, site.context(SYSTEM), site.instance)


def resolve_claims(site: Site, context: Context, leases: Sequence[Lease]) -> tuple[int, int]:
    """End these claims, many at a time; how many were finished, how many abandoned."""
    resolved = _Resolved()
    for some in batches(leases):
        batch = batch_with_fallback(some, partial(_resolve, site, context, resolved))
        for lease, error in batch.failures:
            # One user's trouble never stops another's; tried again next time.
            logger.error("run %s could not be ended", lease.run_id, exc_info=error)
    return resolved.finished, resolved.abandoned


def _resolve(site: Site, context: Context, resolved: _Resolved, leases: Sequence[Lease]) -> None:
    """Take over what is still as it was seen; finish what was recorded here, abandon the rest."""
    run_ids = [lease.run_id for lease in leases]
    with site.read_models.reading() as connection:
        runs = runs_with_ids(connection, run_ids)
        known = backups_of_runs(connection, run_ids)
        position = position_of(connection)
    for run_id in set(run_ids) - runs.keys():
        logger.warning("run %s has a lease, but no claim in the ledger", run_id)
    claims = {run_id: _claim_of(run) for run_id, run in runs.items()}
    open_runs = [lease for lease in leases if lease.run_id in runs]
    committed = {run_id: _Committed(each.backup_id, each.store) for run_id, each in known.items()}
    taken = _take_over(site, open_runs, committed, position)
    # From here on each run is for itself: what was taken over is not as it was seen any more.
    gone = [
        Failure(
            claims[lease.run_id],
            owner=lease.owner,
            was_given_up=lease.owner == site.instance,
        )
        for lease in taken
        if lease.run_id not in committed
    ]
    resolved.abandoned += len(fail_runs(site, context, gone))
    recorded = {
        committed[lease.run_id].backup_id: claims[lease.run_id]
        for lease in taken
        if lease.run_id in committed
    }
    ended = complete_runs(site, context, _published(site, recorded))
    resolved.finished += len(ended.completed)
    for run_id, error in ended.failed.items():
        logger.error("run %s could not be ended", run_id, exc_info=error)


def _published(site: Site, recorded: dict[str, Claim]) -> list[Made]:
    """Backups by id, given the names that the owner of their run may not have come to give."""
    if not recorded:
        return []
    with site.read_models.reading() as connection:
        backups = backups_with_ids(connection, recorded)
    made = []
    for backup_id, backup in backups.items():
        try:
            for staged in staged_of(site, backup):
                site.store.publish(staged, backup.filename)
        except OSError:
            logger.exception("run %s could not be ended", backup.run_id)
        else:
            made.append(Made(recorded[backup_id], backup))
    site.store.flush()
    return made


def _take_over(
    site: Site, leases: Sequence[Lease], committed: dict[str, _Committed], position: int
) -> list[Lease]:
    """Make leases ours under the head lock; those that now are, and what their runs committed.

    One that changed hands or ended meanwhile is somebody else's. One whose backup is in another
    store is left as it is: a lease that were ours would keep those away who can finish it.
    """
    site.hold_owner_lock()  # its lock is held before the lease is ours, or nobody sees us die
    taken = []
    with site.ledger.locked() as locked:
        committed |= _committed_since(locked, position)
        now = lease_now(locked.connection, site.clock.monotonic())
        expires_at = now + site.configuration.lease_seconds * SECOND
        for lease in leases:
            found = committed.get(lease.run_id)
            if found is not None and found.store != site.store.store_id:
                continue
            with suppress(LeaseLost):
                take_over_lease(locked.connection, lease, site.instance, expires_at)
                taken.append(lease)
    return taken


def _committed_since(locked: LockedHead, position: int) -> dict[str, _Committed]:
    return {
        event.details.run_id: _Committed(event.resource_id, event.details.store)
        for _, event in events_after(locked, position)
        if isinstance(event.details, BackupCreated) and event.details.run_id is not None
    }


def _claim_of(run: Run) -> Claim:
    return Claim(run.run_id, run.user_id, run.slot, run.attempt, run.started_at)
