"""Delete what was condemned and whose time has come, in batches.

Before the first: whose repository it is, read again. Before each batch: the lease, and the leaf
hash of what announced it, read again from the ledger; an older ledger that was put back meanwhile
does not have it. What is missing already was deleted by somebody who was killed before he said so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.offsite.destinations import require_ours
from commands.offsite.errors import DeletionForbidden, RepositoryForked
from commands.offsite.repository.layout import manifest_path, pack_list_path, pack_path
from commands.retention.parts import MAX_ENTRIES
from ledger.append.ledger import Draft
from ledger.append.reading import read_leaf_hash
from ledger.events.offsite_deletion import CopyDeleted, PacksDeleted, PacksDeletionStarted
from ledger.records.record import encode_event
from ledger.tree.merkle import leaf_hash
from ledger.vocabulary import CopyStatus, copy_stream
from projections.queries.offsite import copy_locked, deletion_of_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from commands.offsite.deleting.claim import Claim
    from commands.offsite.deleting.look import Look
    from commands.offsite.deleting.plan import CollectPlan
    from commands.site.site import Site
    from ledger.append.ledger import RecordedEvent
    from ledger.append.recorder import LockedHead
    from ledger.vocabulary import DeletionOutcome
    from projections.folds.offsite_copy import OffsiteCopy

AT_ONCE = 1_000
"""Packs between two looks at the ledger; so many are deleted at most after it was replaced."""


@dataclass(frozen=True, slots=True)
class _Witness:
    """An event whose leaf must still stand at its position."""

    position: int
    leaf: bytes

    @classmethod
    def of(cls, recorded: RecordedEvent) -> _Witness:
        return cls(recorded.position, leaf_hash(encode_event(recorded.event)))

    def require(self, locked: LockedHead) -> None:
        """See that the ledger is still the one that announced the deletion.

        Raises:
            RepositoryForked: it is another one.
        """
        if read_leaf_hash(locked.connection, self.position) != self.leaf:
            raise RepositoryForked(
                f"position {self.position} of the ledger is not what was appended there; another "
                "ledger was put in its place, so nothing more is deleted"
            )


def delete_due(claim: Claim, look: Look, plan: CollectPlan, *, versioned: bool) -> None:
    """Delete what a plan says is due; counts go into the claim.

    Raises:
        RepositoryForked: the repository or the ledger is another one: nothing more is deleted.
        LeaseLost: somebody else has taken over.
        DestinationUnreachable: the store failed; what is gone by then is recorded.
    """
    if not (plan.due_copies or plan.due_packs):
        return
    outcome: DeletionOutcome = "hidden" if versioned else "removed"
    require_ours(claim.site, plan.known.destination, look.store)
    try:
        _delete_copies(claim, look, plan.due_copies, outcome)
        _delete_packs(claim, look, plan.due_packs, outcome)
    except DeletionForbidden:
        claim.append_only = True


def _delete_copies(
    claim: Claim, look: Look, copies: Sequence[OffsiteCopy], outcome: DeletionOutcome
) -> None:
    for batch in _batches(copies, MAX_ENTRIES):
        _check(claim, _require_deleting(claim, batch))
        paths = [path(each.copy_id) for each in batch for path in (manifest_path, pack_list_path)]
        look.store.delete_all(paths)
        drafts = [_copy_deleted(claim.site, each, outcome) for each in batch]
        _record(claim, drafts)
        claim.copies_deleted += len(batch)


def _require_deleting(claim: Claim, copies: Sequence[OffsiteCopy]) -> Callable[[LockedHead], None]:
    def look(locked: LockedHead) -> None:
        for copy in copies:
            found = copy_locked(locked, copy.copy_id)
            if found is None or found.status != CopyStatus.DELETING:
                status = "unknown" if found is None else found.status
                raise RepositoryForked(
                    f"copy {copy.copy_id} of {claim.repository_id} is {status} by the ledger, so "
                    "it is not deleted"
                )

    return look


def _copy_deleted(site: Site, copy: OffsiteCopy, outcome: DeletionOutcome) -> Draft:
    with site.ledger.engine.connect() as connection:
        started = deletion_of_copy(connection, copy.copy_id)
    details = CopyDeleted(
        destination=copy.destination,
        backup_id=copy.backup_id,
        filename=copy.filename,
        reason=started.reason,
        rule=started.rule,
        outcome=outcome,
    )
    return Draft(copy_stream(copy.copy_id), details, copy.user_id)


def _delete_packs(claim: Claim, look: Look, packs: Sequence[str], outcome: DeletionOutcome) -> None:
    if not packs:
        return
    witness = _begin_deletion(claim, packs)
    for batch in _batches(packs, AT_ONCE):
        _check(claim, witness.require)
        look.store.delete_all([pack_path(bytes.fromhex(name)) for name in batch])
        freed = sum(look.packs[name].size for name in batch if name in look.packs)
        parts = list(_batches(batch, MAX_ENTRIES))
        drafts = [
            Draft(
                claim.stream,
                PacksDeleted(
                    collect_id=claim.collect_id,
                    packs=part,
                    count=len(batch),
                    part=number,
                    parts=len(parts),
                    outcome=outcome,
                    bytes=freed,
                ),
            )
            for number, part in enumerate(parts, 1)
        ]
        _record(claim, drafts)
        claim.packs_deleted += len(batch)
        claim.deleted_bytes += freed


def _begin_deletion(claim: Claim, packs: Sequence[str]) -> _Witness:
    """packs_deletion_started, under the lock: everything in it is condemned."""
    parts = list(_batches(packs, MAX_ENTRIES))

    def decide(locked: LockedHead) -> list[Draft]:
        destination = claim.require_held(locked)
        condemned = {name for names in destination.condemned.values() for name in names}
        if strange := set(packs) - condemned:
            raise RepositoryForked(
                f"{len(strange)} packs are not condemned by the ledger, so nothing is deleted"
            )
        return [
            Draft(
                claim.stream,
                PacksDeletionStarted(
                    collect_id=claim.collect_id,
                    packs=part,
                    count=len(packs),
                    part=number,
                    parts=len(parts),
                ),
            )
            for number, part in enumerate(parts, 1)
        ]

    recorded = claim.site.ledger.decide(claim.context, decide)
    claim.site.notify(recorded, is_last=False)
    return _Witness.of(recorded[-1])


def _check(claim: Claim, look: Callable[[LockedHead], None]) -> None:
    with claim.site.ledger.locked() as locked:
        claim.require_held(locked)
        look(locked)


def _record(claim: Claim, drafts: Sequence[Draft]) -> None:
    def decide(locked: LockedHead) -> list[Draft]:
        claim.require_held(locked)
        return list(drafts)

    claim.site.notify(claim.site.ledger.decide(claim.context, decide), is_last=False)


def _batches(things: Sequence[Any], most: int) -> Iterator[list[Any]]:
    for start in range(0, len(things), most):
        yield list(things[start : start + most])
