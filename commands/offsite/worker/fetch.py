"""Bring one copy's file back: every byte is held to what the ledger recorded."""

from __future__ import annotations

import os
from array import array
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from commands.offsite.errors import RepositoryDamaged
from commands.offsite.repository.layout import manifest_path, pack_list_path, pack_path
from commands.offsite.repository.manifest import Manifest, decode_manifest
from commands.offsite.repository.packs import Pack, PackEntry, decode_pack_list, packs_root
from commands.offsite.repository.seal import Opener, decompress, decompress_whole
from commands.offsite.worker.jobs import FetchJob, FetchResult
from commands.offsite.worker.received_packs import ReceivedPacks
from commands.sqlite.copy_process import RateLimiter
from commands.sqlite.files import create_private, take_room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from commands.offsite.repository.stores import ObjectStore

READ_BYTES = 1 << 18
"""What stays in the processor's cache between reading and hashing."""


def fetch_copy(
    store: ObjectStore, job: FetchJob, on_progress: Callable[[int, int], None]
) -> FetchResult:
    """Write the file of a copy to a new path, 0600 and durable.

    Raises:
        RepositoryDamaged: something is not what the ledger recorded; nothing is left.
        WrongKey: no identity fits.
        NotEnoughSpace: the disk is full, which is found before anything is fetched.
    """
    opener = Opener(job.identities)
    manifest, received = _recorded_manifest(store, job, opener)
    path = Path(job.path)
    descriptor = create_private(path)
    try:
        take_room(descriptor, job.size, path)
        received_packs = ReceivedPacks(store, job.kept_packs, needed_bytes=job.size)
        writer = _Writer(
            received_packs, manifest, opener, descriptor, RateLimiter(job.bytes_per_second)
        )
        writer.write(on_progress)
        received += received_packs.received_bytes
        os.fsync(descriptor)
        _compare(descriptor, job)
        received_packs.clear()
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return FetchResult(received_bytes=received, packs=len(manifest.packs))


def _recorded_manifest(store: ObjectStore, job: FetchJob, opener: Opener) -> tuple[Manifest, int]:
    """The manifest that the ledger has recorded, and how many bytes that took."""
    list_path, path = pack_list_path(job.copy_id), manifest_path(job.copy_id)
    pack_list, sealed = store.get(list_path), store.get(path)
    if packs_root(pack_list) != job.packs_root:
        raise RepositoryDamaged(f"{list_path} is not the list that the ledger recorded")
    if sha256(sealed).hexdigest() != job.manifest_sha256:
        raise RepositoryDamaged(f"{path} is not the manifest that the ledger recorded")
    manifest = decode_manifest(decompress_whole(opener.open(sealed, path), path), path)
    head = manifest.head
    found = (head.copy_id, head.backup_id, head.sha256, head.size)
    if found != (job.copy_id, job.backup_id, job.sha256, job.size):
        raise RepositoryDamaged(f"{path} is the manifest of another copy")
    named = {PackEntry(pack.name, pack.size) for pack in manifest.packs}
    if named != set(decode_pack_list(pack_list, list_path)):
        raise RepositoryDamaged(f"{path} and {list_path} do not name the same packs")
    return manifest, len(pack_list) + len(sealed)


class _Writer:
    """Writes a file pack by pack, so that each is received once."""

    def __init__(
        self,
        packs: ReceivedPacks,
        manifest: Manifest,
        opener: Opener,
        descriptor: int,
        brake: RateLimiter,
    ) -> None:
        self._packs, self._manifest, self._opener = packs, manifest, opener
        self._descriptor, self._brake = descriptor, brake
        self._frames = manifest.frame_column
        self._places = manifest.place_column

    def write(self, on_progress: Callable[[int, int], None]) -> None:
        """Write every chunk."""
        total = sum(pack.size for pack in self._manifest.packs)
        done = 0
        for pack, rows in _rows_by_pack(self._manifest):
            path = pack_path(pack.name)
            sealed = self._packs.get(pack)
            self._write_pack(pack, memoryview(self._opener.open(sealed, path)), rows, path)
            done += len(sealed)
            self._brake.wait(self._packs.received_bytes)
            on_progress(done, total)

    def _write_pack(self, pack: Pack, content: memoryview, rows: array[int], path: str) -> None:
        chunk, size = self._manifest.head.chunk_bytes, self._manifest.head.size
        current, plain = -1, memoryview(b"")
        for number, place, row, count in _runs(rows, self._frames, self._places):
            if number != current:
                current, frame = number, pack.frames[number]
                part = content[frame.offset : frame.offset + frame.compressed]
                plain = memoryview(decompress(part, frame.plain, path))
            at, start = row * chunk, place * chunk
            length = min(count * chunk, size - at)
            piece = plain[start : start + length]
            if len(piece) != length:
                raise RepositoryDamaged(f"a frame of {path} is shorter than its manifest says")
            _write_all(self._descriptor, piece, at)


def _runs(
    rows: array[int], frames: memoryview, places: memoryview
) -> Iterator[tuple[int, int, int, int]]:
    """Rows that are neighbors in the file and in a frame: (frame, place, first row, how many).

    Frame by frame, so that each is decompressed once.
    """
    frame, place, first, count = -1, 0, 0, 0
    for row in sorted(rows, key=frames.__getitem__):
        if row == first + count and frames[row] == frame and places[row] == place + count:
            count += 1
            continue
        if count:
            yield frame, place, first, count
        frame, place, first, count = frames[row], places[row], row, 1
    if count:
        yield frame, place, first, count


def _write_all(descriptor: int, piece: memoryview, at: int) -> None:
    while piece:
        written = os.pwrite(descriptor, piece, at)
        piece, at = piece[written:], at + written


def _rows_by_pack(manifest: Manifest) -> Iterator[tuple[Pack, array[int]]]:
    """The rows of each pack that is used, in the order of the packs; memory is 4 bytes a row."""
    packs, column = manifest.packs, manifest.pack_column
    starts = [0] * (len(packs) + 1)
    for pack in column:
        starts[pack + 1] += 1
    for number in range(len(packs)):
        starts[number + 1] += starts[number]
    ordered, ends = array("I", bytes(4 * len(column))), starts.copy()
    for row, pack in enumerate(column):
        ordered[ends[pack]] = row
        ends[pack] += 1
    for number, pack_used in enumerate(packs):
        rows = ordered[starts[number] : starts[number + 1]]
        if rows:
            yield pack_used, rows


def _compare(descriptor: int, job: FetchJob) -> None:
    """The file as it stands must be the one that was recorded."""
    digest, at, buffer = sha256(), 0, memoryview(bytearray(READ_BYTES))
    while count := os.preadv(descriptor, [buffer], at):
        digest.update(buffer[:count])
        at += count
    if digest.hexdigest() != job.sha256:
        raise RepositoryDamaged(
            f"copy {job.copy_id} does not give the backup that was recorded: its SHA-256 is "
            f"{digest.hexdigest()}, recorded is {job.sha256}"
        )
