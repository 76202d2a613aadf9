"""Claims whose owner is gone: finish what was committed, abandon the rest."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from commands.claims import Claim
from commands.finish_run import abandon_run, complete_run
from commands.ledger_reading import events_after, position_of
from commands.owner import is_alive
from ledger.errors import LeaseLost
from ledger.events.catalog import BackupCreated
from ledger.operational import Lease, all_leases, find_lease, lease_end, take_over_lease
from projections.catalog_queries import backup_of_run, backup_with_id
from projections.schedule_queries import run_with_id

if TYPE_CHECKING:
    from commands.site import Site
    from ledger.application import Context
    from ledger.recorder import LockedHead

logger = logging.getLogger("backup_ledger.claims")


def settle_expired(site: Site, context: Context) -> tuple[int, int]:
    """Settle every claim that is over; how many were finished, how many abandoned."""
    with site.ledger.engine.connect() as connection:
        leases = all_leases(connection)
    return settle(site, context, [lease for lease in leases if is_over(site, lease)])


def settle_owner(site: Site, context: Context, owner: str) -> None:
    """Settle the claims of an owner who is known to be dead."""
    with site.ledger.engine.connect() as connection:
        leases = [lease for lease in all_leases(connection) if lease.owner == owner]
    settle(site, context, leases)


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


def is_over(site: Site, lease: Lease) -> bool:
    """Whether a claim is no longer believed.

    Its time has passed; or it lies further ahead than any renewal sets it (a time of an
    earlier boot); or the lock of its owner, who stages in our folder, is free.
    """
    if lease.run_id in site.active_runs:
        return False
    now = site.clock.monotonic()
    if lease.expires_at < now * 1_000_000:
        return True
    if lease.expires_at > lease_end(now, 86_400):
        return True
    if lease.owner == site.instance:
        return True  # ours, and no longer being worked on
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
    backup_id = _take_over(site, lease, known.backup_id if known else None, position)
    claim = Claim(run.run_id, run.user_id, run.slot, run.attempt, run.started_at)
    if backup_id is None:
        abandon_run(site, context, claim, lease.owner)
        return False
    with site.read_models.reading() as connection:
        backup = backup_with_id(connection, backup_id)
    if backup is None or backup.store != site.store.store_id:
        return None
    # Its owner may be stuck before it could publish.
    for staged in site.store.staged_copies(backup.backup_id, backup.shared_with):
        site.store.publish(staged, backup.filename)
    complete_run(site, context, claim, backup)
    return True


def _take_over(site: Site, lease: Lease, backup_id: str | None, position: int) -> str | None:
    """Make the lease ours under the head lock; the run's committed backup, if there is one.

    Raises:
        LeaseLost: it changed hands or ended meanwhile.
    """
    site.owner  # noqa: B018  (its lock is held before the lease is ours, or nobody sees us die)
    with site.ledger.locked() as locked:
        if find_lease(locked.connection, lease.run_id) != lease:
            raise LeaseLost(lease.run_id)
        backup_id = backup_id or _committed_since(locked, lease.run_id, position)
        expires_at = lease_end(site.clock.monotonic(), site.configuration.lease_seconds)
        take_over_lease(locked.connection, lease.run_id, site.instance, expires_at)
        return backup_id


def _committed_since(locked: LockedHead, run_id: str, position: int) -> str | None:
    for _, event in events_after(locked, position):
        if isinstance(event.details, BackupCreated) and event.details.run_id == run_id:
            return event.resource_id
    return None
