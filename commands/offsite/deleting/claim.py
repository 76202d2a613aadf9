"""The claim of a collect: one at a time at a destination, and every later append checks it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.errors import message_of
from commands.offsite.destinations import require_attached
from commands.offsite.errors import DestinationConflict
from commands.site.fence import held_runs, is_over
from commands.site.heartbeat import Heartbeat
from ledger.append.leases_and_names import all_leases, collect_lease, lease_now
from ledger.append.ledger import Draft
from ledger.errors import LeaseLost
from ledger.events.offsite_deletion import CollectCompleted, CollectFailed, CollectStarted
from ledger.vocabulary import destination_stream
from projections.queries.offsite import destination_locked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.offsite_destination import Destination

ABANDONED = "the process that deleted there is gone"


@dataclass(slots=True)
class Claim:
    """An act of collecting that is ours; counts of what it came to."""

    site: Site
    context: Context
    repository_id: str
    collect_id: str
    copies_condemned: int = 0
    copies_deleted: int = 0
    packs_condemned: int = 0
    packs_deleted: int = 0
    deleted_bytes: int = 0
    append_only: bool = False

    @property
    def stream(self) -> str:
        return destination_stream(self.repository_id)

    def require_held(self, locked: LockedHead) -> Destination:
        """The fence, under the lock: the lease is ours, and the destination may be written to.

        Raises:
            LeaseLost: somebody else has judged this act.
            DestinationConflict: the destination was removed or detached.
        """
        lease = collect_lease(self.collect_id)
        if not held_runs(self.site, locked, [lease]):
            raise LeaseLost(lease)
        found = destination_locked(locked, self.repository_id)
        return require_attached(found, "?" if found is None else found.name)


@contextmanager
def claimed(site: Site, context: Context, destination: Destination) -> Iterator[Claim]:
    """Collect alone at a destination; how it ends is recorded.

    Raises:
        DestinationConflict: somebody else is deleting there, or nobody may.
    """
    claim = Claim(site, context, destination.repository_id, str(uuid4()))
    # Until the outcome is recorded:
    with site.owner.working_under(collect_lease(claim.collect_id)):
        _start(claim)
        try:
            with Heartbeat(site):
                yield claim
                _end(claim)
        except BaseException as error:
            _fail(claim, error)
            raise


def abandoned_collect(destination: Destination) -> Draft:
    """The end of an act whose owner is gone; another one goes on where it stopped."""
    assert destination.collect_id is not None
    details = CollectFailed(collect_id=destination.collect_id, error_type="abandoned")
    stream = destination_stream(destination.repository_id)
    return Draft(stream, details, error_message=ABANDONED)


def _start(claim: Claim) -> None:
    site = claim.site
    details = CollectStarted(
        collect_id=claim.collect_id,
        owner=site.instance,
        lease_seconds=site.configuration.lease_seconds,
    )

    def decide(locked: LockedHead) -> list[Draft]:
        found = destination_locked(locked, claim.repository_id)
        destination = require_attached(found, "?" if found is None else found.name)
        drafts = [Draft(claim.stream, details)]
        if destination.collect_id is None:
            return drafts
        if _is_alive(site, locked, destination.collect_id):
            raise DestinationConflict(
                f"{destination.name!r} is being collected by {destination.collect_owner} already; "
                "try again when that is over"
            )
        return [abandoned_collect(destination), *drafts]

    site.notify(site.ledger.decide(claim.context, decide))


def _is_alive(site: Site, locked: LockedHead, collect_id: str) -> bool:
    now = lease_now(locked.connection, site.clock.monotonic())
    found = [
        each
        for each in all_leases(locked.connection, "collect")
        if each.run_id == collect_lease(collect_id)
    ]
    return any(not is_over(site, each, now) for each in found)


def _end(claim: Claim) -> None:
    details = CollectCompleted(
        collect_id=claim.collect_id,
        copies_condemned=claim.copies_condemned,
        copies_deleted=claim.copies_deleted,
        packs_condemned=claim.packs_condemned,
        packs_deleted=claim.packs_deleted,
        deleted_bytes=claim.deleted_bytes,
        append_only=claim.append_only,
    )

    def decide(locked: LockedHead) -> list[Draft]:
        claim.require_held(locked)
        return [Draft(claim.stream, details)]

    claim.site.notify(claim.site.ledger.decide(claim.context, decide))


def _fail(claim: Claim, error: BaseException) -> None:
    """Record why it ended, unless somebody else has judged it already."""
    details = CollectFailed(collect_id=claim.collect_id, error_type=type(error).__name__)
    message = message_of(error)

    def decide(locked: LockedHead) -> list[Draft]:
        found = destination_locked(locked, claim.repository_id)
        if found is None or found.collect_id != claim.collect_id:
            return []
        return [Draft(claim.stream, details, error_message=message)]

    recorded = claim.site.ledger.decide(claim.context, decide)
    if recorded:
        claim.site.notify(recorded)
