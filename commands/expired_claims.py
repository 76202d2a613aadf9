"""Claims whose owner is gone: finish what was committed, abandon the rest."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from commands.actors import SYSTEM
from commands.claims import Claim
from commands.complete_runs import Made, complete_runs
from commands.fail_run import abandon_run
from commands.ledger_reading import events_after, position_of
from commands.owner import is_alive
from commands.staging import staged_of
from ledger.errors import LeaseLost
from ledger.events.catalog import BackupCreated
from ledger.operational import (
    SECOND,
    Lease,
    all_leases,
    find_lease,
    lease_now,
    take_over_lease,
)
from projections.catalog_queries import backup_of_run, backup_with_id
from projections.schedule_queries import run_with_id

if TYPE_CHECKING:
    from commands.site import Site
    from ledger.application import Context
    from ledger.recorder import LockedHead

logger = logging.getLogger("backup_ledger.claims")
LONGEST_LEASE = 86_400 * SECOND


class _Committed(NamedTuple):
    """The backup that a run recorded, and the store where it is."""

    backup_id: str
    store: str


def settle_expired(site: Site, context: Context) -> tuple[int, int]:
    """Settle every claim that is over; how many were finished, how many abandoned."""
    with site.ledger.engine.connect() as connection:
        leases = all_leases(connection)
        now = lease_now(connection, site.clock.monotonic())
    return settle(site, context, [lease for lease in leases if is_over(site, lease, now)])


def settle_owner(site: Site, context: Context, owner: str) -> None:
    """Settle the claims of an owner who is known to be dead."""
    with site.ledger.engine.connect() as connection:
        leases = [lease for lease in all_leases(connection) if lease.owner == owner]
    settle(site, context, leases)


def give_up(site: Site) -> None:
    """Settle what this process was doing when it was stopped at once; nobody waits for leases."""
    site.active_runs.clear()
    settle_owner(site, site.context(SYSTEM), site.instance)


def settle(site: Site, context: Context, leases: list[Lease]) -> tuple[int, int]:
    finished = abandoned = 0
    for lease in leases:
        try:
            was_committed = _settle_one(site, context, lease)
        except LeaseLost:
            continue  # somebody else was quicker
        except Exception:  # one user's trouble never stops another's; tried again next time
            logger.exception("run %s could not be settled", lease.run_id)
            continue
        finished += was_committed is True
        abandoned += was_committed is False
    return finished, abandoned


def is_over(site: Site, lease: Lease, now: int) -> bool:
    """Whether a claim is no longer believed.

    Its time has passed; or it lies further ahead than any renewal sets it (a time of an
    earlier boot); or, on SQLite, the lock of its owner, who stages in our folder, is free.
    On a server its clock alone decides: owners may be on machines whose locks nobody here sees.
    `now`: by the clock of the leases (`lease_now`).
    """
    if lease.run_id in site.active_runs:
        return False
    if not now <= lease.expires_at <= now + LONGEST_LEASE:
        return True
    if lease.owner == site.instance:
        return True  # ours, and no longer being worked on
    if site.ledger.engine.dialect.name != "sqlite":
        return False
    folder = site.store.staging / lease.owner
    return folder.is_dir() and not is_alive(site.store.staging, lease.owner)


def _settle_one(site: Site, context: Context, lease: Lease) -> bool | None:
    """True: finished. False: abandoned. None: left to somebody who has its store."""
    with site.read_models.reading() as connection:
        run = run_with_id(connection, lease.run_id)
        known, position = backup_of_run(connection, lease.run_id), position_of(connection)
    if run is None:
        logger.warning("run %s has a lease, but no claim in the ledger", lease.run_id)
        return None
    committed = None if known is None else _Committed(known.backup_id, known.store)
    committed = _take_over(site, lease, committed, position)
    claim = Claim(run.run_id, run.user_id, run.slot, run.attempt, run.started_at)
    if committed is None:
        abandon_run(site, context, claim, lease.owner)
        return False
    if committed.store != site.store.store_id:
        return None
    with site.read_models.reading() as connection:
        backup = backup_with_id(connection, committed.backup_id)
    if backup is None:
        return None
    # Its owner may be stuck before it could publish.
    for staged in staged_of(site, backup):
        site.store.publish(staged, backup.filename)
    site.store.flush()
    ended = complete_runs(site, context, [Made(claim, backup)])
    for error in ended.failed.values():
        raise error
    if not ended.completed:
        raise LeaseLost(claim.run_id)
    return True


def _take_over(
    site: Site, lease: Lease, committed: _Committed | None, position: int
) -> _Committed | None:
    """Make the lease ours under the head lock; the run's committed backup, if there is one.

    One in another store is left as it is: a lease that were ours would keep those away who can
    finish it.

    Raises:
        LeaseLost: it changed hands or ended meanwhile.
    """
    site.owner  # noqa: B018  (its lock is held before the lease is ours, or nobody sees us die)
    with site.ledger.locked() as locked:
        if find_lease(locked.connection, lease.run_id) != lease:
            raise LeaseLost(lease.run_id)
        committed = committed or _committed_since(locked, lease.run_id, position)
        if committed is None or committed.store == site.store.store_id:
            now = lease_now(locked.connection, site.clock.monotonic())
            expires_at = now + site.configuration.lease_seconds * SECOND
            take_over_lease(locked.connection, lease, site.instance, expires_at)
        return committed


def _committed_since(locked: LockedHead, run_id: str, position: int) -> _Committed | None:
    for _, event in events_after(locked, position):
        if isinstance(event.details, BackupCreated) and event.details.run_id == run_id:
            return _Committed(event.resource_id, event.details.store)
    return None
