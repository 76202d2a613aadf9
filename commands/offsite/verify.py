"""Look at copies: are their objects there (listed), unchanged (digest), whole inside (with a key)?

A bad pack makes every copy on it corrupt. A store that does not answer says nothing about a copy.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.offsite.destinations import open_session
from commands.offsite.errors import ObjectMissing, RepositoryDamaged, WrongKey
from commands.offsite.fetch import fetch_copy
from commands.offsite.pack_drafts import pack_drafts
from commands.offsite.repository.layout import (
    COPIES,
    PACKS,
    manifest_path,
    pack_list_path,
    pack_path,
)
from commands.offsite.repository.packs import decode_pack_list, packs_root
from commands.sqlite.content import content_problem, count_problem
from commands.sqlite.files import remove_database
from commands.sqlite.inspection import inspect
from commands.sqlite.space import require_space
from commands.verification.drill import SPARED_BYTES, kept_counts
from ledger.append.ledger import Draft
from ledger.events.offsite import CopyCorrupt, CopyVerified
from ledger.vocabulary import copy_stream
from projections.queries.catalog import backup_with_id
from projections.queries.offsite import LIVE, copies_at, copy_locked, destination_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from commands.offsite.repository.packs import PackEntry
    from commands.offsite.repository.stores import ObjectStore
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from ledger.vocabulary import CopyLevel, FetchReason
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination

READS_CONTENT: tuple[CopyLevel, ...] = ("integrity", "drill")


@dataclass(frozen=True, slots=True)
class CheckedCopy:
    """What was found; `problem` is None where all is well.

    `unopened`: no identity that was given opens it, so nothing is known of it, or recorded.
    """

    destination: Destination
    copy: OffsiteCopy
    level: CopyLevel
    problem: str | None
    unopened: bool = False


def verify_copies(
    site: Site,
    context: Context,
    destination: Destination,
    level: CopyLevel,
    *,
    identities: Sequence[str] = (),
    part: tuple[int, int] = (1, 1),
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[CheckedCopy]:
    """Check the copies of a destination; each outcome is recorded as it is found.

    `part` (n, t) looks at the n-th of t parts of the copies, by id.

    Raises:
        RepositoryForked: it is not ours.
        DestinationUnreachable: the store failed; what was not looked at is not recorded.
        WrongKey: a level that reads content has no identity at all.
    """
    with site.read_models.reading() as connection:
        live = copies_at(connection, destination.repository_id, LIVE)
    chosen = [copy for copy in live if is_in_part(copy, part)]
    yield from verify_chosen(
        site, context, destination, level, chosen, identities=identities, on_progress=on_progress
    )


def is_in_part(copy: OffsiteCopy, part: tuple[int, int]) -> bool:
    """Whether a copy is in the n-th of t parts, by its id."""
    return int(copy.copy_id[:8], 16) % part[1] == part[0] - 1


def verify_chosen(
    site: Site,
    context: Context,
    destination: Destination,
    level: CopyLevel,
    chosen: Sequence[OffsiteCopy],
    *,
    identities: Sequence[str] = (),
    on_progress: Callable[[int, int], None] | None = None,
    on_fetch: Callable[[int, int], None] | None = None,
) -> Iterator[CheckedCopy]:
    """Check these copies, as `verify_copies`; `on_fetch` is told of the bytes of one that is read.

    Raises:
        OffsiteError: as `verify_copies`.
    """
    look = _Look(open_session(site, destination), level)
    for done, copy in enumerate(chosen):
        if on_progress is not None:
            on_progress(done, len(chosen))
        problem = look.problem(copy)
        if problem is None and level in READS_CONTENT:
            try:
                problem = _content_problem(
                    site, context, destination, copy, level, identities, on_fetch
                )
            except WrongKey as error:
                if not identities:
                    raise
                yield CheckedCopy(destination, copy, level, str(error), unopened=True)
                continue
            if problem is not None:
                record_bad_packs(site, context, destination, copy)
        _record_packs(site, context, destination, look)
        checked = CheckedCopy(destination, copy, level, problem)
        if _record(site, context, checked):
            yield checked
    if on_progress is not None:
        on_progress(len(chosen), len(chosen))


def record_bad_packs(
    site: Site, context: Context, destination: Destination, copy: OffsiteCopy
) -> None:
    """Read the packs of a copy that did not come back whole, so that no other leans on bad ones.

    Raises:
        OffsiteError: the store failed.
    """
    look = _Look(open_session(site, destination), "digest")
    problem = look.problem(copy)
    _record_packs(site, context, destination, look)
    if problem is not None:
        _record(site, context, CheckedCopy(destination, copy, "digest", problem))


class _Look:
    """One look at a repository: every object is listed once, and read once."""

    def __init__(self, store: ObjectStore, level: CopyLevel) -> None:
        self._store, self._level = store, level
        self._listed = {each.path: each.size for each in store.list(PACKS)}
        self._copies = {each.path for each in store.list(COPIES)}
        self._digests: dict[bytes, str | None] = {}
        self.damaged: set[str] = set()
        self.whole: set[str] = set()

    def problem(self, copy: OffsiteCopy) -> str | None:
        """What is wrong with a copy, without a key; None where nothing is."""
        list_path, path = pack_list_path(copy.copy_id), manifest_path(copy.copy_id)
        for each in (list_path, path):
            if each not in self._copies and self._store.head(each) is None:
                return f"{each} is gone"
        try:
            pack_list = self._store.get(list_path)
            if packs_root(pack_list) != copy.packs_root:
                return f"{list_path} is not the list that was recorded"
            if sha256(self._store.get(path)).hexdigest() != copy.manifest_sha256:
                return f"{path} is not the manifest that was recorded"
            packs = decode_pack_list(pack_list, list_path)
        except (ObjectMissing, RepositoryDamaged) as error:
            return str(error)
        return next((found for pack in packs if (found := self._pack_problem(pack))), None)

    def _pack_problem(self, pack: PackEntry) -> str | None:
        if pack.name not in self._digests:
            self._digests[pack.name] = self._look_at(pack)
        return self._digests[pack.name]

    def _look_at(self, pack: PackEntry) -> str | None:
        path = pack_path(pack.name)
        size = self._listed.get(path)
        if size != pack.size:
            size = self._store.head(path)  # a listing may be old
        if size is None:
            return f"{path} is gone"
        if size != pack.size:
            return f"{path} has {size} bytes, recorded are {pack.size}"
        if self._level != "digest":
            return None  # whoever fetches the copy compares every pack
        try:
            found = sha256(self._store.get(path)).digest()
        except ObjectMissing:
            return f"{path} is gone"
        if found == pack.name:
            self.whole.add(pack.name.hex())
            return None
        self.damaged.add(pack.name.hex())
        return f"{path} is damaged: its SHA-256 is not its name"


def _record_packs(site: Site, context: Context, destination: Destination, look: _Look) -> None:
    """Packs that were found damaged, or whole again; from here on new copies know it."""

    def decide(locked: LockedHead) -> list[Draft]:
        known = destination_locked(locked, destination.repository_id)
        before = set() if known is None else set(known.damaged_packs)
        return list(
            pack_drafts(
                destination.repository_id,
                missing=look.damaged - before,
                found=look.whole & before,
                damaged=True,
            )
        )

    if look.damaged or look.whole & set(destination.damaged_packs):
        recorded = site.ledger.decide(context, decide)
        if recorded:
            site.notify(recorded, is_last=False)


def _content_problem(
    site: Site,
    context: Context,
    destination: Destination,
    copy: OffsiteCopy,
    level: CopyLevel,
    identities: Sequence[str],
    on_fetch: Callable[[int, int], None] | None,
) -> str | None:
    """Fetch a copy into a scratch file and look inside."""
    require_space(site.owner.folder, (copy.size or 0) + SPARED_BYTES, "drill", site.free_bytes)
    reason: FetchReason = "drill" if level == "drill" else "integrity"
    with site.owner.staging(f"fetched-{uuid4()}") as path:
        try:
            fetch_copy(
                site,
                context,
                destination,
                copy,
                path,
                identities=identities,
                reason=reason,
                on_progress=on_fetch,
            )
            problem = content_problem(path, keys=site.keys)
            if problem is None and level == "drill":
                with site.read_models.reading() as connection:
                    backup = backup_with_id(connection, copy.backup_id)
                kept = None if backup is None else kept_counts(site, backup)
                problem = None if kept is None else count_problem(kept, inspect(path, site.keys))
        except RepositoryDamaged as error:
            return str(error)
        finally:
            with suppress(OSError):
                remove_database(path)
    return problem


def _record(site: Site, context: Context, checked: CheckedCopy) -> bool:
    """Record what was found; False where the copy is gone meanwhile."""
    copy = checked.copy
    opened = checked.level in READS_CONTENT
    kind = CopyVerified if checked.problem is None else CopyCorrupt
    details = kind(
        destination=copy.destination,
        backup_id=copy.backup_id,
        level=checked.level,
        problem=checked.problem,
        opened=opened,
    )

    def decide(locked: LockedHead) -> list[Draft]:
        found = copy_locked(locked, copy.copy_id)
        if found is None or found.status not in LIVE:
            return []
        return [
            Draft(copy_stream(copy.copy_id), details, copy.user_id, error_message=checked.problem)
        ]

    recorded = site.ledger.decide(context, decide)
    if recorded:
        site.notify(recorded)
    return bool(recorded)
