"""What is at a destination now, as far as no key is needed: names, and the lists of packs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from commands.offsite.errors import ObjectMissing, RepositoryAhead, RepositoryDamaged
from commands.offsite.repository.layout import (
    COPIES,
    OURS,
    PACK_LIST_SUFFIX,
    pack_list_path,
    pack_of,
)
from commands.offsite.repository.packs import decode_pack_list, packs_root
from commands.reporting.humanize import count

if TYPE_CHECKING:
    from collections.abc import Collection

    from commands.offsite.repository.stores import ObjectStore, StoredObject
    from projections.folds.offsite_copy import OffsiteCopy


@dataclass(slots=True)
class Look:
    """One listing of a repository, and the lists of packs that were read since.

    `packs`: by name in hex. `copy_ids`: of manifests. `put_at`: of manifests and lists, by path.
    `foreign`: names that this format does not have; never touched.
    """

    store: ObjectStore
    packs: dict[str, StoredObject] = field(default_factory=dict)
    copy_ids: set[str] = field(default_factory=set)
    put_at: dict[str, float] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    _lists: dict[str, frozenset[str]] = field(default_factory=dict)

    def named_by(self, copy: OffsiteCopy) -> frozenset[str]:
        """The packs that a copy names, in hex; held to the root that its event recorded.

        Raises:
            RepositoryDamaged: its list is gone, or another one.
            DestinationUnreachable: the store failed.
        """
        if copy.copy_id not in self._lists:
            path = pack_list_path(copy.copy_id)
            try:
                content = self.store.get(path)
            except ObjectMissing as error:
                raise RepositoryDamaged(f"{path} is gone ({copy.filename})") from error
            if packs_root(content) != copy.packs_root:
                raise RepositoryDamaged(f"{path} is not the list that was recorded")
            entries = decode_pack_list(content, path)
            self._lists[copy.copy_id] = frozenset(each.name.hex() for each in entries)
        return self._lists[copy.copy_id]

    def require_known(self, copy_ids: Collection[str]) -> None:
        """Every manifest there must be of a copy that this ledger knows.

        Raises:
            RepositoryAhead: one is not: the ledger is older than what is there.
        """
        unknown = sorted(self.copy_ids - set(copy_ids))
        if unknown:
            raise RepositoryAhead(
                f"{self.store.place} holds {count(len(unknown), 'copy', 'copies')} unknown to this "
                f"ledger, such as {unknown[0]}; nothing is deleted there before this is done: "
                "backup-ledger offsite adopt --identity FILE"
            )


def look_at(store: ObjectStore) -> Look:
    """List everything that is there.

    Raises:
        DestinationUnreachable: the store failed.
    """
    look = Look(store)
    for found in store.list():
        name = pack_of(found.path)
        if name is not None:
            look.packs[name.hex()] = found
        elif not OURS.fullmatch(found.path):
            look.foreign.append(found.path)
        elif found.path.startswith(COPIES):
            look.put_at[found.path] = found.modified
            if not found.path.endswith(PACK_LIST_SUFFIX):
                look.copy_ids.add(found.path.removeprefix(COPIES))
    return look
