"""Make one copy: read the file once, send what the repository lacks, then list and manifest."""

from __future__ import annotations

import os
from array import array
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from hashlib import sha256
from itertools import chain
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from commands.offsite.errors import RepositoryDamaged
from commands.offsite.repository.index import Index, Place, told_of
from commands.offsite.repository.last_copy import BLOCK_CHUNKS, keep_last_copy, read_last_copy
from commands.offsite.repository.layout import manifest_path, pack_list_path, pack_path
from commands.offsite.repository.manifest import (
    HEADER_BYTES,
    ManifestHead,
    chunk_bytes_of,
    chunk_count,
    encode_beginning,
)
from commands.offsite.repository.packs import (
    OpenPack,
    Pack,
    PackEntry,
    encode_pack_list,
    frame_chunks,
    packs_root,
)
from commands.offsite.repository.seal import FrameCompressor, Sealer, compress_pieces
from commands.offsite.worker.columns import mapped_columns
from commands.offsite.worker.jobs import CopyJob, CopyResult
from commands.offsite.worker.pages_used import pages_used
from commands.offsite.worker.reconcile_packs import join_recipients, reconcile_packs
from commands.offsite.worker.taken_over import TakenOver
from commands.sqlite.copy_process import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from commands.offsite.repository.last_copy import LastCopy
    from commands.offsite.repository.stores import ObjectStore
    from commands.offsite.worker.columns import Columns
    from commands.offsite.worker.reconcile_packs import KnownPacks

INDEX_NAME = "index.sqlite"
LAST_COPIES = "last"


class BackupChangedError(Exception):
    """The local file is not what was recorded; nothing was completed."""


def make_copy(
    store: ObjectStore, job: CopyJob, on_progress: Callable[[int, int], None]
) -> CopyResult:
    """Send one backup; the copy counts only once its event is appended.

    Raises:
        BackupChangedError: the file's SHA-256 is not the recorded one.
        ListingDoubtful, DestinationUnreachable: as the store has it.
    """
    folder = Path(job.index_folder)
    with told_of(folder / INDEX_NAME), ExitStack() as stack:
        index = stack.enter_context(closing(Index(folder / INDEX_NAME)))
        known = reconcile_packs(store, index, job.recipients, job.condemned, job.missing)
        index.forget(known.collected)
        index.use(_leaned_on(job, index, known) if job.share else ())
        file = stack.enter_context(open(job.path, "rb", buffering=0))
        chunk_bytes = chunk_bytes_of(os.pread(file.fileno(), HEADER_BYTES, 0), job.size)
        count = chunk_count(job.size, chunk_bytes)
        columns = stack.enter_context(mapped_columns(Path(job.scratch), count))
        sender = _Sender(store, job, index, columns, chunk_bytes, known.put_at)
        last = read_last_copy(folder / LAST_COPIES / job.source) if job.share else None
        blocks = sender.send_file(file.fileno(), last, on_progress)
        sealed = sender.manifest()
        sizes = [PackEntry(pack.name, pack.size) for pack in sender.packs]
        pack_list = encode_pack_list(sizes)
        _put_and_compare(store, pack_list_path(job.copy_id), pack_list)
        _put_and_compare(store, manifest_path(job.copy_id), sealed)
        if job.share:
            index.keep_uses(job.source, sender.pages_used)
            with suppress(OSError):
                keep_last_copy(folder / LAST_COPIES / job.source, *sender.body(), blocks)
    return CopyResult(
        manifest_sha256=sha256(sealed).hexdigest(),
        packs_root=packs_root(pack_list),
        pages=count,
        new_pages=sender.new_chunks,
        sent_bytes=sender.sent_bytes + len(sealed) + len(pack_list),
        pack_names=[pack.name.hex() for pack in sender.packs],
        missing=known.missing,
        found=known.found,
        locked_until=sender.locked_until,
    )


def _leaned_on(job: CopyJob, index: Index, known: KnownPacks) -> set[int]:
    """Ids of packs that this copy may name: not retired, and locked for as long as it promises."""
    usable = known.usable - index.retired()
    if not job.lock_seconds:
        return usable
    since = job.promised_until - job.lock_seconds
    return {each for each in usable if known.put_at.get(each, 0.0) >= since}


class _Sender:
    """One copy while it is made: rows, packs, and the pack that is being filled."""

    def __init__(
        self,
        store: ObjectStore,
        job: CopyJob,
        index: Index,
        columns: Columns,
        chunk_bytes: int,
        put_at: dict[int, float],
    ) -> None:
        self._store, self._job, self._index = store, job, index
        self._columns, self._chunk_bytes = columns, chunk_bytes
        self._frame_chunks = frame_chunks(chunk_bytes)
        self._sealer, self._compressor = Sealer(job.recipients), FrameCompressor()
        self._recipients = join_recipients(job.recipients)
        self._put_at, self._oldest_pack = put_at, time()
        self.packs: list[Pack] = []
        self._numbers: dict[int, int] = {}
        self._open: tuple[int, OpenPack] | None = None
        self._sending: tuple[int, OpenPack, Future[Pack]] | None = None
        self._unsent: list[dict[bytes, tuple[int, int]]] = [{}, {}]
        self.new_chunks = self.sent_bytes = 0
        self.pages_used: dict[int, int] = {}
        """Of each pack of the index, by id: how many of its pages this copy names."""

    def send_file(
        self, descriptor: int, last: LastCopy | None, on_progress: Callable[[int, int], None]
    ) -> bytes:
        """Read the file and send its packs; the hashes of its blocks.

        Raises:
            BackupChangedError: it is not what was recorded.
        """
        whole, blocks, done = sha256(), bytearray(), 0
        block_bytes = BLOCK_CHUNKS * self._chunk_bytes
        taken = TakenOver(self._index, last, self._chunk_bytes, self._number_of)
        with ThreadPoolExecutor(1, "offsite-send") as executor:
            for number in range(-(-self._job.size // block_bytes)):
                block = memoryview(_read(descriptor, min(block_bytes, self._job.size - done)))
                digest = sha256(block).digest()
                whole.update(block)
                blocks += digest
                rows = taken.rows(number, digest, len(block) == block_bytes)
                if rows is None:
                    self._add_block(number, block, taken, executor)
                else:
                    self._columns.put(number * BLOCK_CHUNKS, *rows)
                done += len(block)
                on_progress(done, self._job.size)
            if os.read(descriptor, 1) or whole.hexdigest() != self._job.sha256:
                raise BackupChangedError(whole.hexdigest())
            self._end_pack(executor)
            self._wait_for_pack()
            self.pages_used = self._count_pages()
            leaving = self._index.hardly_used(self._job.source, self.pages_used)
            if self._job.share and leaving and self._kept_most():
                self._leave(leaving, descriptor, executor)
                self.pages_used = self._count_pages()
        return bytes(blocks)

    def _kept_most(self) -> bool:
        """Whether three quarters of the pages are those of earlier copies.

        Where more change from copy to copy, what is left of a pack changes too before it is needed
        again, and sending it now would be for nothing.
        """
        return 4 * self.new_chunks * self._chunk_bytes < self._job.size

    def manifest(self) -> bytes:
        """The manifest's object."""
        size, pieces = self.body()
        return self._sealer.seal(self._sealer.beginning + compress_pieces(pieces, size))

    def body(self) -> tuple[int, Iterator[bytes | memoryview]]:
        """The size of the manifest's body, and its pieces."""
        job = self._job
        head = ManifestHead(
            self._frame_chunks,
            self._chunk_bytes,
            job.size,
            job.sha256,
            job.backup_id,
            job.copy_id,
            job.schema_fingerprint,
            job.created_at,
            job.source,
            job.filename,
        )
        beginning = encode_beginning(head, self.packs)
        return len(beginning) + self._columns.size, chain((beginning,), self._columns.pieces())

    @property
    def locked_until(self) -> float | None:
        """When the oldest pack is not locked any more; None where nothing is locked."""
        return self._oldest_pack + self._job.lock_seconds if self._job.lock_seconds else None

    def _count_pages(self) -> dict[int, int]:
        """How many pages of each pack of the index this copy names, by id."""
        used = pages_used(self.packs, self._columns.rows(), self._frame_chunks)
        return {pack_id: used[number] for pack_id, number in self._numbers.items()}

    def _add_block(
        self, number: int, block: memoryview, taken: TakenOver, executor: ThreadPoolExecutor
    ) -> None:
        step = self._chunk_bytes
        chunks = [block[start : start + step] for start in range(0, len(block), step)]
        hashes = [sha256(chunk).digest() for chunk in chunks]
        known = self._known(hashes[: len(block) // step], number, taken)
        packs, frames, places = array("I"), array("I"), bytearray()
        for chunk, digest in zip(chunks, hashes, strict=True):
            is_shared = self._job.share and len(chunk) == step
            found = (known.get(digest) or self._waiting(digest)) if is_shared else None
            pack, place = found or self._add_chunk(chunk, digest, executor)
            frame, place_in_frame = divmod(place, self._frame_chunks)
            packs.append(pack)
            frames.append(frame)
            places.append(place_in_frame)
        self._columns.put(number * BLOCK_CHUNKS, packs, frames, places)

    def _known(
        self, hashes: list[bytes], number: int, taken: TakenOver
    ) -> dict[bytes, tuple[int, int]]:
        """Packs by their number, and places in them, of the chunks that the store has.

        Most chunks of a block that changed are where they were in the last copy.
        """
        if not self._job.share:
            return {}
        likely = taken.places(number, len(hashes))
        found = self._index.confirmed(hashes, likely, self._chunk_bytes)
        others = [digest for digest in hashes if digest not in found]
        found |= self._index.find(others, self._chunk_bytes)
        return {
            digest: (self._number_of(place.pack_id), place.place) for digest, place in found.items()
        }

    def _leave(self, leaving: set[int], descriptor: int, executor: ThreadPoolExecutor) -> None:
        """Send again what this copy needs of packs that are retired with it.

        So it is a copy of a changed file that pays for that, and an unchanged one sends nothing.

        Raises:
            BackupChangedError: a page is not any more what it was when the file was read.
        """
        self._index.usable -= leaving
        numbers = {number: pack_id for pack_id, number in self._numbers.items()}
        step = self._chunk_bytes
        for row, (pack, frame, place) in enumerate(self._columns.rows()):
            pack_id = numbers.get(pack)
            if pack_id not in leaving:
                continue
            chunk = os.pread(descriptor, step, row * step)
            digest = sha256(chunk).digest()
            was = Place(pack_id, frame * self._frame_chunks + place)
            if not self._index.confirmed([digest], [was], step):
                raise BackupChangedError(f"page {row}")
            sent = self._index.find([digest], step).get(digest)
            found = (self._numbers[sent.pack_id], sent.place) if sent else self._waiting(digest)
            now, at = found or self._add_chunk(memoryview(chunk), digest, executor)
            to = divmod(at, self._frame_chunks)
            self._columns.put(row, array("I", (now,)), array("I", to[:1]), bytes(to[1:]))
        self._end_pack(executor)
        self._wait_for_pack()
        self._drop(leaving)

    def _drop(self, leaving: set[int]) -> None:
        """Strike packs that no row names from the list; those that stay move up."""
        gone = {self._numbers.pop(pack_id) for pack_id in leaving}
        numbers: list[int] = []
        stay: list[Pack] = []
        for number, pack in enumerate(self.packs):
            numbers.append(len(stay))
            if number not in gone:
                stay.append(pack)
        self.packs = stay
        self._numbers = {pack_id: numbers[each] for pack_id, each in self._numbers.items()}
        self._columns.renumber(numbers)

    def _waiting(self, digest: bytes) -> tuple[int, int] | None:
        """Where a chunk is that the store does not have yet: in the open pack, or on its way."""
        for unsent in self._unsent:
            if digest in unsent:
                return unsent[digest]
        return None

    def _add_chunk(
        self, chunk: memoryview, digest: bytes, executor: ThreadPoolExecutor
    ) -> tuple[int, int]:
        if self._open is not None and self._open[1].is_full:
            self._end_pack(executor)
        if self._open is None:
            frame_bytes = self._frame_chunks * self._chunk_bytes
            pack = OpenPack(self._sealer, self._compressor, frame_bytes)
            self._open = (len(self.packs), pack)
            self.packs.append(Pack(b"", 0, ()))
        number, pack = self._open
        place = pack.add(chunk, digest)
        self._unsent[0][digest] = (number, place)
        self.new_chunks += 1
        return number, place

    def _end_pack(self, executor: ThreadPoolExecutor) -> None:
        """Send the open pack, once the one before is with the store and in the index."""
        if self._open is None:
            return
        self._wait_for_pack()
        number, pack = self._open
        pack.end_frame()  # here: the next pack's frames need the compressor meanwhile
        self._sending = (number, pack, executor.submit(self._send, pack))
        self._open = None
        self._unsent = [{}, self._unsent[0]]

    def _send(self, pack: OpenPack) -> Pack:
        sealed, content = pack.sealed()
        brake = RateLimiter(self._job.bytes_per_second)  # its own: no pack makes up for a slow one
        self._store.put(pack_path(sealed.name), content)
        brake.wait(len(content))
        self.sent_bytes += len(content)
        return sealed

    def _wait_for_pack(self) -> None:
        """Wait for the pack on its way; it goes into the index once the store has it."""
        if self._sending is None:
            return
        number, pack, future = self._sending
        sealed = future.result()
        self.packs[number] = sealed
        if self._job.share:
            pack_id = self._index.add(
                sealed,
                bytes(pack.hashes),
                chunk_bytes=self._chunk_bytes,
                source=self._job.source,
                recipients=self._recipients,
            )
            self._numbers[pack_id] = number
        self._sending = None
        self._unsent[1] = {}

    def _number_of(self, pack_id: int) -> int:
        """The number of a known pack in this manifest."""
        number = self._numbers.get(pack_id)
        if number is None:
            number = self._numbers[pack_id] = len(self.packs)
            self._oldest_pack = min(self._oldest_pack, self._put_at.get(pack_id, 0.0))
            self.packs.append(self._index.pack(pack_id))
        return number


def _read(descriptor: int, count: int) -> bytes:
    """Exactly this many bytes, or fewer at the end of the file."""
    piece = os.read(descriptor, count)
    while len(piece) < count:
        more = os.read(descriptor, count - len(piece))
        if not more:
            break
        piece += more
    return piece


def _put_and_compare(store: ObjectStore, path: str, content: bytes) -> None:
    """Write an object and read it back.

    Raises:
        DestinationUnreachable: the store failed.
        RepositoryDamaged: what it gives back is something else.
    """
    store.put(path, content)
    if store.get(path) != content:
        raise RepositoryDamaged(
            f"{store.place} gave back other bytes of {path} than were written; its storage cannot "
            "be trusted"
        )
