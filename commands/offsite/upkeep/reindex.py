"""Make a lost index again: read every pack that live copies name, with a key.

An index costs bytes when it is lost, never data. Reading everything costs bytes, too; it is worth
it where sending is dearer than receiving.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from commands.offsite.copy import NO_SOURCE
from commands.offsite.destinations import open_reading
from commands.offsite.errors import ObjectMissing, RepositoryDamaged
from commands.offsite.index_folder import index_folder, locked_index
from commands.offsite.repository.index import Index
from commands.offsite.repository.layout import manifest_path, pack_path
from commands.offsite.repository.manifest import decode_manifest
from commands.offsite.repository.seal import Opener, decompress, decompress_whole
from commands.offsite.worker.pages_used import pages_used
from commands.offsite.worker.reconcile_packs import join_recipients
from commands.offsite.worker.send import INDEX_NAME
from ledger.vocabulary import CopyStatus
from projections.queries.offsite import copies_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from commands.offsite.repository.manifest import Manifest
    from commands.offsite.repository.packs import Pack
    from commands.offsite.repository.stores import ObjectStore
    from commands.site.site import Site
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination


@dataclass(frozen=True, slots=True)
class Reindexed:
    """How many packs are in the index now that were not, and what reading them took."""

    packs: int
    received_bytes: int
    problems: list[str]


def reindex(
    site: Site,
    destination: Destination,
    identities: Sequence[str],
    on_progress: Callable[[int, int], None] | None = None,
) -> Reindexed:
    """Add to the index what good copies name and it does not have; what is damaged is left out.

    Raises:
        RepositoryForked: the repository belongs to another ledger.
        WrongKey: no identity opens a manifest or a pack.
        DestinationUnreachable: the store failed; what was read by then is kept.
    """
    store, opener = open_reading(site, destination), Opener(identities)
    with site.read_models.reading() as connection:
        good = copies_at(connection, destination.repository_id, (CopyStatus.OK,))
    readers = _Readers()
    folder = index_folder(site, destination.repository_id)
    added = received = 0
    problems: list[str] = []
    with (
        locked_index(site, destination.repository_id),
        closing(Index(folder / INDEX_NAME)) as index,
    ):
        known = {name for _, name, _, _ in index.entries()}
        for done, copy in enumerate(good):  # oldest first: the newest one's uses stand at the end
            try:
                manifest = _manifest(store, opener, copy)
                for pack in manifest.packs:
                    readers.add(pack.name, copy)
                    if pack.name not in known:
                        received += _add(index, store, opener, pack, manifest, copy, readers)
                        known.add(pack.name)
                        added += 1
                _keep_uses(index, manifest)
            except (RepositoryDamaged, ObjectMissing) as error:
                problems.append(f"{copy.filename}: {error}")
            if on_progress is not None:
                on_progress(done + 1, len(good))
    return Reindexed(added, received, problems)


class _Readers:
    """To whom each pack was sealed, as far as the copies on it say."""

    def __init__(self) -> None:
        self._by_name: dict[bytes, set[str]] = {}

    def add(self, name: bytes, copy: OffsiteCopy) -> None:
        self._by_name.setdefault(name, set()).update(copy.readable_by)

    def of(self, name: bytes) -> str:
        return join_recipients(self._by_name[name])


def _manifest(store: ObjectStore, opener: Opener, copy: OffsiteCopy) -> Manifest:
    path = manifest_path(copy.copy_id)
    sealed = store.get(path)
    if sha256(sealed).hexdigest() != copy.manifest_sha256:
        raise RepositoryDamaged(f"{path} is not the manifest that was recorded")
    return decode_manifest(decompress_whole(opener.open(sealed, path), path), path)


def _add(
    index: Index,
    store: ObjectStore,
    opener: Opener,
    pack: Pack,
    manifest: Manifest,
    copy: OffsiteCopy,
    readers: _Readers,
) -> int:
    """Read one pack and keep the hashes of its pages; the bytes that it took."""
    path, step = pack_path(pack.name), manifest.head.chunk_bytes
    sealed = store.get(path)
    if sha256(sealed).digest() != pack.name:
        raise RepositoryDamaged(f"{path} is damaged: its SHA-256 is not its name")
    content, hashes = memoryview(opener.open(sealed, path)), bytearray()
    for frame in pack.frames:
        part = content[frame.offset : frame.offset + frame.compressed]
        plain = memoryview(decompress(part, frame.plain, path))
        for start in range(0, len(plain), step):
            hashes += sha256(plain[start : start + step]).digest()
    index.add(
        pack,
        bytes(hashes),
        chunk_bytes=step,
        source=copy.source or NO_SOURCE,
        recipients=readers.of(pack.name),
    )
    return len(sealed)


def _keep_uses(index: Index, manifest: Manifest) -> None:
    rows = zip(manifest.pack_column, manifest.frame_column, manifest.place_column, strict=True)
    used = pages_used(manifest.packs, rows, manifest.head.frame_chunks)
    ids = index.ids([pack.name for pack in manifest.packs])
    pages = {ids[pack.name]: used[number] for number, pack in enumerate(manifest.packs)}
    index.keep_uses(manifest.head.source, pages)
