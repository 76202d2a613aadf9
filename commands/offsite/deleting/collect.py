"""Collect at a destination: copies that retention lets go, packs that no copy names any more.

list, then ask the ledger: what is there, what live copies name, what may go
collect_started with its lease, which every later append checks
copy_deletion_started and packs_condemned, in one append, under the head lock: nothing that they
    lean on was appended since; from here on no copy can be completed on those packs
after their time: packs_deletion_started, DELETE, packs_deleted; the same for copies
collect_completed

Whoever is killed between two of these left facts, and the next one goes on from there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.errors import message_of
from commands.offsite.deleting.claim import Claim, claimed
from commands.offsite.deleting.delete import delete_due
from commands.offsite.deleting.known import is_stale, read_known
from commands.offsite.deleting.look import look_at
from commands.offsite.deleting.orphans import keep_orphans
from commands.offsite.deleting.plan import make_plan
from commands.offsite.destinations import open_session, require_attached
from commands.offsite.errors import DestinationConflict, RepositoryAhead, RepositoryForked
from commands.offsite.index_folder import index_folder
from commands.offsite.policy import Policy
from commands.offsite.repository.folder_store import FolderStore
from commands.retention.parts import cut_into_parts
from ledger.append.ledger import Draft
from ledger.events.offsite_deletion import CollectFailed, CopyDeletionStarted, PacksCondemned
from ledger.vocabulary import copy_stream, destination_stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from commands.offsite.deleting.look import Look
    from commands.offsite.deleting.plan import CollectPlan
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.offsite_destination import Destination

TRIES = 8
"""How often it is planned again because copies went on meanwhile."""
APPEND_ONLY = "append_only"


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collect did, or would do. `claim`: None where there was nothing to do, or for a plan.

    `foreign`: names there that are not ours; never touched.
    """

    destination: Destination
    plan: CollectPlan
    look: Look
    claim: Claim | None

    @property
    def condemned_packs(self) -> int:
        return sum(len(group.packs) for group in self.plan.condemned)

    @property
    def condemned_bytes(self) -> int:
        packs = self.look.packs
        return sum(packs[name].size for group in self.plan.condemned for name in group.packs)


def collect(
    site: Site,
    context: Context,
    destination: Destination,
    *,
    dry_run: bool = False,
    delete: bool = True,
) -> Collected:
    """Delete what may go; with `dry_run` only say what that is. `delete`: False only condemns.

    Raises:
        RepositoryForked, RepositoryAhead: what is there is not what this ledger knows.
        DestinationConflict: somebody else is deleting there.
        DestinationUnreachable: the store failed; what was done by then is recorded.
    """
    require_attached(destination, destination.name)
    now = site.clock.now()
    try:
        look = look_at(open_session(site, destination))
        plan = make_plan(site, look, read_known(site, destination.repository_id), now)
    except (RepositoryForked, RepositoryAhead) as error:
        if not dry_run:
            _record_refusal(site, context, destination, error)
        raise
    if dry_run:
        return Collected(destination, plan, look, None)
    if isinstance(look.store, FolderStore):
        look.store.clear_unfinished((now - Policy.of(destination).grace).timestamp())
    if plan.is_empty and plan.known.destination.collect_problem is None:
        keep_orphans(site, destination.repository_id, plan.orphans)
        return Collected(destination, plan, look, None)
    with claimed(site, context, destination) as claim:
        plan = _condemn(claim, look, now)
        keep_orphans(site, destination.repository_id, plan.orphans)
        if delete:
            versioned = Policy.of(plan.known.destination).versioned
            delete_due(claim, look, plan, versioned=versioned)
    _remember_rights(site, destination, plan, claim, delete=delete)
    return Collected(destination, plan, look, claim)


def _record_refusal(
    site: Site, context: Context, destination: Destination, error: Exception
) -> None:
    """What is there is not what this ledger knows: a person has to look."""
    details = CollectFailed(collect_id=str(uuid4()), error_type=type(error).__name__)
    stream = destination_stream(destination.repository_id)
    draft = Draft(stream, details, error_message=message_of(error))
    site.notify(site.ledger.append(context, draft))


def is_append_only(site: Site, destination: Destination) -> bool:
    """Whether the credentials of this machine were refused a deletion there."""
    return site.has_store and _marker(site, destination).exists()


def _condemn(claim: Claim, look: Look, now: datetime) -> CollectPlan:
    """Plan on what the ledger says now, and append that; again where something came between.

    Raises:
        DestinationConflict: something came between every time.
    """
    site = claim.site
    for _ in range(TRIES):
        plan = make_plan(site, look, read_known(site, claim.repository_id), now)
        drafts = [*_copy_drafts(claim, plan), *_pack_drafts(claim, plan)]

        def decide(
            locked: LockedHead, plan: CollectPlan = plan, drafts: list[Draft] = drafts
        ) -> tuple[list[Draft], bool]:
            claim.require_held(locked)
            return ([], False) if is_stale(locked, plan.known) else (drafts, True)

        recorded, is_decided = site.ledger.decide_with_result(claim.context, decide)
        if is_decided:
            if recorded:
                site.notify(recorded)
            claim.copies_condemned = len(plan.copies)
            claim.packs_condemned = sum(len(group.packs) for group in plan.condemned)
            return plan
    raise DestinationConflict(
        f"copies at {look.store.place} go on all the time, so nothing was deleted; try again later"
    )


def _copy_drafts(claim: Claim, plan: CollectPlan) -> Iterator[Draft]:
    for going, not_before in plan.copies:
        copy = going.copy
        details = CopyDeletionStarted(
            destination=copy.destination,
            backup_id=copy.backup_id,
            collect_id=claim.collect_id,
            filename=copy.filename,
            reason=going.reason,
            rule=going.rule,
            not_before=not_before,
        )
        yield Draft(copy_stream(copy.copy_id), details, copy.user_id)


def _pack_drafts(claim: Claim, plan: CollectPlan) -> Iterator[Draft]:
    for group in plan.condemned:
        parts = cut_into_parts([(name, name) for name in group.packs])
        for number, packs in enumerate(parts, 1):
            details = PacksCondemned(
                collect_id=claim.collect_id,
                reason=group.reason,
                not_before=group.not_before,
                packs=packs,
                count=len(group.packs),
                part=number,
                parts=len(parts),
            )
            yield Draft(claim.stream, details)


def _remember_rights(
    site: Site, destination: Destination, plan: CollectPlan, claim: Claim, *, delete: bool
) -> None:
    """What this machine's credentials may do there: a state of the machine, not of the ledger."""
    marker = _marker(site, destination)
    with suppress(OSError):
        if claim.append_only:
            os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        elif delete and (plan.due_copies or plan.due_packs):
            marker.unlink(missing_ok=True)


def _marker(site: Site, destination: Destination) -> Path:
    return index_folder(site, destination.repository_id) / APPEND_ONLY
