"""What a collect would do: which copies and packs go, and which of them may be deleted now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.offsite.deleting.orphans import read_orphans, ripe, seen_again
from commands.offsite.deleting.retention import Going, copies_to_delete
from commands.offsite.errors import RepositoryDamaged
from commands.offsite.policy import Policy
from commands.offsite.repository.layout import manifest_path, pack_list_path
from ledger.append.clock_doubt import clock_doubt
from ledger.clock import parse_instant, to_microseconds
from ledger.vocabulary import CopyStatus
from projections.queries.offsite import LIVE, condemned_packs, copies_with_ids

if TYPE_CHECKING:
    from datetime import datetime

    from commands.offsite.deleting.known import Known
    from commands.offsite.deleting.look import Look
    from commands.offsite.deleting.orphans import FirstSeen
    from commands.site.site import Site
    from ledger.vocabulary import CondemnReason
    from projections.folds.offsite_copy import OffsiteCopy


@dataclass(frozen=True, slots=True)
class Condemned:
    """Packs that go together. `packs`: names in hex, sorted."""

    reason: CondemnReason
    not_before: datetime
    packs: list[str]


@dataclass(frozen=True, slots=True)
class CollectPlan:
    """What goes. `problem`: why no pack is condemned. `orphans`: remembered from now on.

    `due_copies`, `due_packs`: condemned before, and may be deleted now.
    """

    known: Known
    copies: list[tuple[Going, datetime]]
    condemned: list[Condemned]
    due_copies: list[OffsiteCopy]
    due_packs: list[str]
    orphans: dict[str, FirstSeen]
    problem: str | None
    clock_doubt: str | None

    @property
    def is_empty(self) -> bool:
        return not (self.copies or self.condemned or self.due_copies or self.due_packs)


def make_plan(site: Site, look: Look, known: Known, now: datetime) -> CollectPlan:
    """Plan from a listing and from what the ledger says after it.

    Raises:
        RepositoryAhead: there are copies that this ledger does not know.
        DestinationUnreachable: the store failed.
    """
    mirrored = _mirrored(site, look, known)
    look.require_known({*known.copies, *mirrored})
    policy = Policy.of(known.destination)
    with site.ledger.engine.connect() as connection:
        doubt = clock_doubt(connection, to_microseconds(now))
        condemned_ever = condemned_packs(connection, known.destination.repository_id)
    going = copies_to_delete(
        known, policy, now, site.known_source_id(), clock_in_doubt=doubt is not None
    )
    leaving = {each.copy.copy_id for each in going}
    staying = [each for each in known.with_status(*LIVE) if each.copy_id not in leaving]
    named, problem = _named(look, [*staying, *mirrored.values()])
    deleting = known.with_status(CopyStatus.DELETING)
    left_by = _packs_of(look, [*deleting, *(each.copy for each in going)])
    unnamed = look.packs.keys() - named - condemned_ever
    repository_id = known.destination.repository_id
    orphans = seen_again(read_orphans(site, repository_id), unnamed - left_by, now, known.position)
    groups: list[Condemned] = []
    if problem is None and doubt is None:
        oldest = min((c.position for c in known.with_status(CopyStatus.COPYING)), default=None)
        gone = ripe(orphans, now, policy.grace, oldest)
        groups += _grouped(look, policy, now, "unnamed", unnamed & left_by)
        groups += _grouped(look, policy, now, "orphan", gone)
        orphans = {name: first for name, first in orphans.items() if name not in gone}
    due_copies, due_packs = ([], []) if doubt else _due(known, now)
    return CollectPlan(
        known,
        [(each, _copy_goes_at(look, policy, now, each.copy)) for each in going],
        groups,
        due_copies,
        [name for name in due_packs if name not in named],
        orphans,
        problem,
        doubt,
    )


def _mirrored(site: Site, look: Look, known: Known) -> dict[str, OffsiteCopy]:
    """Copies of another destination that lie here, because this one began as its mirror.

    They do not count here, and nothing that they need is deleted.
    """
    others = look.copy_ids - known.copies.keys()
    if not others:
        return {}
    with site.read_models.reading() as connection:
        found = copies_with_ids(connection, others)
    return {copy_id: copy for copy_id, copy in found.items() if copy.packs_root is not None}


def _named(look: Look, live: list[OffsiteCopy]) -> tuple[set[str], str | None]:
    """Packs that live copies name; and why that is not the whole truth."""
    named: set[str] = set()
    problem = None
    for copy in live:
        try:
            named |= look.named_by(copy)
        except RepositoryDamaged as error:
            problem = problem or str(error)
    return named, problem


def _packs_of(look: Look, copies: list[OffsiteCopy]) -> set[str]:
    """Packs of copies that go; what cannot be read goes later, as orphans."""
    found: set[str] = set()
    for copy in copies:
        try:
            found |= look.named_by(copy)
        except RepositoryDamaged:
            continue
    return found


def _grouped(
    look: Look, policy: Policy, now: datetime, reason: CondemnReason, names: set[str]
) -> list[Condemned]:
    groups: dict[datetime, list[str]] = {}
    for name in sorted(names):
        moment = policy.not_before(now, look.packs[name].modified)
        groups.setdefault(moment, []).append(name)
    return [Condemned(reason, moment, packs) for moment, packs in sorted(groups.items())]


def _copy_goes_at(look: Look, policy: Policy, now: datetime, copy: OffsiteCopy) -> datetime:
    paths = (manifest_path(copy.copy_id), pack_list_path(copy.copy_id))
    return max(policy.not_before(now, look.put_at.get(path)) for path in paths)


def _due(known: Known, now: datetime) -> tuple[list[OffsiteCopy], list[str]]:
    """Copies and packs whose time has come, and which nobody is fetching."""
    copies = [
        each
        for each in known.with_status(CopyStatus.DELETING)
        if each.deletable_at is not None
        and each.deletable_at <= now
        and each.copy_id not in known.busy
    ]
    packs = [
        name
        for moment, names in sorted(known.destination.condemned.items())
        if parse_instant(moment) <= now
        for name in names
    ]
    return copies, packs
