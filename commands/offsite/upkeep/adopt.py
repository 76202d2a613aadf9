"""Adopt copies that this ledger does not know, because it is older than what is at a destination.

An older ledger was put back, or records were lost that nobody had published. Each such manifest is
read with a key and held to its list of packs; then the copy counts like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from commands.offsite.deleting.look import look_at
from commands.offsite.destinations import open_reading, require_attached
from commands.offsite.errors import ObjectMissing, RepositoryDamaged, WrongKey
from commands.offsite.repository.layout import manifest_path, pack_list_path
from commands.offsite.repository.manifest import decode_manifest
from commands.offsite.repository.packs import PackEntry, decode_pack_list, packs_root
from commands.offsite.repository.seal import Opener, decompress_whole, recipient_of
from ledger.append.leases_and_names import name_owner
from ledger.append.ledger import Draft
from ledger.clock import from_microseconds
from ledger.events.catalog import BackupFound, BackupMissing
from ledger.events.offsite import CopyCorrupt
from ledger.events.offsite_deletion import CopyFound
from ledger.vocabulary import backup_stream, copy_stream
from projections.folds.backup_names import classify
from projections.queries.locked import backup_locked
from projections.queries.offsite import condemned_packs, copies_with_ids, copy_locked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.offsite.deleting.look import Look
    from commands.offsite.repository.stores import ObjectStore
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.offsite_destination import Destination

NO_SOURCE = "00000000-0000-0000-0000-000000000000"
ELSEWHERE = "its file is not here: it was found by its off-site copy"
LOST_PACKS = "packs that it needs are gone or condemned"


@dataclass(frozen=True, slots=True)
class Adopted:
    """A copy that was found. `problem`: why it cannot be used; None where it can."""

    copy_id: str
    filename: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    details: CopyFound
    packs: frozenset[str]


def adopt_copies(
    site: Site, context: Context, destination: Destination, identities: Sequence[str]
) -> list[Adopted]:
    """Record every copy there that this ledger does not know; what it is not sure of is named.

    Raises:
        RepositoryForked: the repository belongs to another ledger.
        WrongKey: none of the identities opens any of them.
        DestinationUnreachable: the store failed.
    """
    require_attached(destination, destination.name)
    store = open_reading(site, destination)
    look = look_at(store)
    with site.read_models.reading() as connection:
        known = copies_with_ids(connection, look.copy_ids)
    adopted: list[Adopted] = []
    opener, refused = _Opening(store, destination, identities), None
    for copy_id in sorted(look.copy_ids - known.keys()):
        try:
            found = opener.read(copy_id)
        except WrongKey as error:
            refused = error
        except (RepositoryDamaged, ObjectMissing) as error:
            adopted.append(Adopted(copy_id, "", str(error)))
        else:
            adopted.append(_record(site, context, look, found))
    if refused is not None and not any(each.filename for each in adopted):
        raise refused
    return adopted


class _Opening:
    """Reads manifests with the identities that were given."""

    def __init__(
        self, store: ObjectStore, destination: Destination, identities: Sequence[str]
    ) -> None:
        self._store, self._destination = store, destination
        self._openers = [(Opener([each]), recipient_of(each)) for each in identities]

    def read(self, copy_id: str) -> _Found:
        path, list_path = manifest_path(copy_id), pack_list_path(copy_id)
        sealed, pack_list = self._store.get(path), self._store.get(list_path)
        content, readers = self._open(sealed, path)
        manifest = decode_manifest(decompress_whole(content, path), path)
        head = manifest.head
        named = {PackEntry(pack.name, pack.size) for pack in manifest.packs}
        if head.copy_id != copy_id or named != set(decode_pack_list(pack_list, list_path)):
            raise RepositoryDamaged(f"{path} and {list_path} are not of the same copy")
        details = CopyFound(
            destination=self._destination.repository_id,
            backup_id=head.backup_id,
            copy_id=copy_id,
            filename=head.filename,
            source=None if head.source == NO_SOURCE else head.source,
            created_at=from_microseconds(head.created_at),
            size=head.size,
            sha256=head.sha256,
            manifest_sha256=sha256(sealed).hexdigest(),
            packs=len(named),
            packs_root=packs_root(pack_list),
            pages=head.chunks,
            readable_by=readers,
        )
        return _Found(details, frozenset(pack.name.hex() for pack in named))

    def _open(self, sealed: bytes, path: str) -> tuple[bytes, list[str]]:
        """The manifest's content, and the recipients whose identities open it."""
        if self._destination.clear:
            return Opener().open(sealed, path), []
        readers, content = [], None
        for opener, recipient in self._openers:
            try:
                content = opener.open(sealed, path)
            except WrongKey:
                continue
            readers.append(recipient)
        if content is None:
            raise WrongKey(f"no identity given opens {path}; give one of a recipient of its time")
        return content, readers


def _record(site: Site, context: Context, look: Look, found: _Found) -> Adopted:
    """The copy, and its backup where that is unknown, too: its file is elsewhere only."""
    details = found.details
    kind = classify(details.filename)

    def decide(locked: LockedHead) -> tuple[list[Draft], str | None]:
        if copy_locked(locked, details.copy_id) is not None:
            return [], None  # somebody else was quicker
        backup = backup_locked(locked, details.backup_id)
        drafts = [] if backup is not None else _backup_drafts(site, locked, details)
        user_id = kind.user_id if backup is None else backup.user_id
        drafts.append(Draft(copy_stream(details.copy_id), details, user_id))
        condemned = condemned_packs(locked.connection, details.destination)
        lost = {name for name in found.packs if name not in look.packs or name in condemned}
        if not lost:
            return drafts, None
        problem = f"{len(lost)} {LOST_PACKS}"
        corrupt = CopyCorrupt(
            destination=details.destination,
            backup_id=details.backup_id,
            level="listed",
            problem=problem,
            opened=True,
        )
        stream = copy_stream(details.copy_id)
        return [*drafts, Draft(stream, corrupt, user_id, error_message=problem)], problem

    recorded, problem = site.ledger.decide_with_result(context, decide)
    if recorded:
        site.notify(recorded)
    return Adopted(details.copy_id, details.filename, problem)


def _backup_drafts(site: Site, locked: LockedHead, details: CopyFound) -> list[Draft]:
    store, kind = site.store.store_id, classify(details.filename)
    filename, number = details.filename, 1
    while name_owner(locked.connection, store, filename) is not None:
        number += 1
        filename = f"{details.filename.removesuffix('.db')}_{number}.db"
    found = BackupFound(
        store=store,
        filename=filename,
        kind=kind.kind,
        size=details.size,
        sha256=details.sha256,
        created_at=details.created_at,
        status="ok",
    )
    missing = BackupMissing(store=store, filename=filename)
    stream = backup_stream(details.backup_id)
    return [
        Draft(stream, found, kind.user_id),
        Draft(stream, missing, kind.user_id, error_message=ELSEWHERE),
    ]
