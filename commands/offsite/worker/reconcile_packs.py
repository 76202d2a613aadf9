"""Compare the index with the store's listing: which known packs may be leaned on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from commands.offsite.errors import ListingDoubtful
from commands.offsite.repository.layout import PACKS, pack_of, pack_path

if TYPE_CHECKING:
    from collections.abc import Collection

    from commands.offsite.repository.index import Index
    from commands.offsite.repository.stores import ObjectStore

MAX_DOUBTS = 1_000
"""So many packs do not vanish; a listing that lacks more of them is a short one."""


@dataclass(slots=True)
class KnownPacks:
    """Ids in the index that may be leaned on; names that are gone, or are there again.

    `put_at`: of the usable ones, in seconds since 1970 by the store's clock, where it was listed.
    `collected`: condemned ones that are not there any more.
    """

    usable: set[int] = field(default_factory=set)
    put_at: dict[int, float] = field(default_factory=dict)
    collected: list[bytes] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)


def reconcile_packs(
    store: ObjectStore,
    index: Index,
    recipients: Collection[str],
    condemned: Collection[str],
    missing: Collection[str],
) -> KnownPacks:
    """Look at every pack of the index that was sealed to all recipients and is not condemned.

    Raises:
        ListingDoubtful: the listing lacks too many packs to be believed.
        DestinationUnreachable: the store failed.
    """
    listed = {pack_of(each.path): each for each in store.list(PACKS)}
    known, doubts = KnownPacks(), 0
    wanted, lost_before = set(recipients), set(missing)
    refused = set(condemned)
    for pack_id, name, size, sealed_to in index.entries():
        text = name.hex()
        found = listed.get(name)
        if text in refused and found is None:
            known.collected.append(name)
        if text in refused or not is_sealed_to(sealed_to, wanted):
            continue
        if found is None or found.size != size:
            doubts += text not in lost_before
            if doubts > MAX_DOUBTS:
                raise ListingDoubtful(
                    f"the listing of {store.place} lacks over {MAX_DOUBTS} packs that were there; "
                    "nothing was copied. Is it the right place, and whole?"
                )
            if store.head(pack_path(name)) != size:
                if text not in lost_before:
                    known.missing.append(text)
                continue
        if text in lost_before:
            known.found.append(text)
        if found is not None:
            known.put_at[pack_id] = found.modified
        known.usable.add(pack_id)
    return known


def join_recipients(recipients: Collection[str]) -> str:
    """Recipients as the index keeps them."""
    return " ".join(sorted(recipients))


def is_sealed_to(sealed_to: str, recipients: set[str]) -> bool:
    """Whether a pack is readable by all of them; in a clear destination only clear packs are."""
    sealed = set(sealed_to.split())
    return recipients <= sealed if recipients else not sealed
