"""A manifest: what one copy is of, and where each chunk of the file is. Version 1.

Little endian:

    offset  bytes
    0       4          BLM1
    4       2, 2       version 1; chunks to a frame (64; fewer where 64 would pass 4 MiB)
    8       4          chunk size in bytes
    12      8          size of the backup
    20      32         SHA-256 of the backup
    52      16, 16, 32 backup_id, copy_id, schema fingerprint
    116     8, 16      created_at (microseconds since 1970), source
    140     2 + n      length of the file name in UTF-8, and the name
    then    4          P, the number of packs used
    then               for each pack: name (32), object size (u32), frame count F (u32), and F times
                       offset in the decrypted pack, compressed length, plain length (u32 each)
    then    4N 4N N    columns over the N chunks: pack, frame in it, place in the frame

The chunk size is SQLite's page size, or the smallest power-of-two multiple of it with at most 2^22
chunks. Example: the manifest of an empty file ends with P = 0 and no columns.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from commands.offsite.errors import RepositoryDamaged
from commands.offsite.repository.packs import Frame, Pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAGIC, VERSION = b"BLM1", 1
MAX_CHUNKS = 1 << 22
DEFAULT_CHUNK_BYTES = 4096
MIN_PAGE_BYTES, MAX_PAGE_BYTES = 512, 65_536
"""Of SQLite: https://www.sqlite.org/fileformat2.html#page_size; a stored 1 is the largest."""
SQLITE_BEGINNING = b"SQLite format 3\0"
HEADER_BYTES = 18
"""How much of a file tells its page size."""

_HEAD = struct.Struct("<4sHHIQ32s16s16s32sq16s")
_NAME_LENGTH = struct.Struct("<H")
_COUNT = struct.Struct("<I")
_PACK = struct.Struct("<32sII")
_FRAME = struct.Struct("<III")
ROW_BYTES = 9
"""A chunk's share of the columns: two u32 and a u8."""
ROWS_AT_ONCE = 1 << 16


class ManifestHead(NamedTuple):
    """What a manifest says about its copy. Sizes in bytes, `created_at` in microseconds."""

    frame_chunks: int
    chunk_bytes: int
    size: int
    sha256: str
    backup_id: str
    copy_id: str
    schema_fingerprint: str
    created_at: int
    source: str
    filename: str

    @property
    def chunks(self) -> int:
        return chunk_count(self.size, self.chunk_bytes)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was read. `columns`: the three columns as they stand in the body."""

    head: ManifestHead
    packs: tuple[Pack, ...]
    columns: memoryview

    @property
    def pack_column(self) -> memoryview:
        return self.columns[: 4 * self.head.chunks].cast("I")

    @property
    def frame_column(self) -> memoryview:
        count = self.head.chunks
        return self.columns[4 * count : 8 * count].cast("I")

    @property
    def place_column(self) -> memoryview:
        return self.columns[8 * self.head.chunks :]


def chunk_bytes_of(header: bytes, size: int) -> int:
    """The chunk size of a file that begins with `header`."""
    chunk = DEFAULT_CHUNK_BYTES
    if header.startswith(SQLITE_BEGINNING) and len(header) >= HEADER_BYTES:
        stored = int.from_bytes(header[16:18], "big")
        page = MAX_PAGE_BYTES if stored == 1 else stored
        if MIN_PAGE_BYTES <= page <= MAX_PAGE_BYTES and page.bit_count() == 1:
            chunk = page
    while chunk_count(size, chunk) > MAX_CHUNKS:
        chunk *= 2
    return chunk


def chunk_count(size: int, chunk_bytes: int) -> int:
    return -(-size // chunk_bytes)


def encode_beginning(head: ManifestHead, packs: Sequence[Pack]) -> bytes:
    """Everything before the columns."""
    name = head.filename.encode()
    parts = [
        _HEAD.pack(
            MAGIC,
            VERSION,
            head.frame_chunks,
            head.chunk_bytes,
            head.size,
            bytes.fromhex(head.sha256),
            UUID(head.backup_id).bytes,
            UUID(head.copy_id).bytes,
            bytes.fromhex(head.schema_fingerprint),
            head.created_at,
            UUID(head.source).bytes,
        ),
        _NAME_LENGTH.pack(len(name)),
        name,
        _COUNT.pack(len(packs)),
    ]
    for pack in packs:
        parts.append(_PACK.pack(pack.name, pack.size, len(pack.frames)))
        parts.append(encode_frames(pack.frames))
    return b"".join(parts)


def encode_frames(frames: Iterable[Frame]) -> bytes:
    return b"".join(_FRAME.pack(*frame) for frame in frames)


def decode_frames(data: bytes | memoryview) -> tuple[Frame, ...]:
    return tuple(Frame(*fields) for fields in _FRAME.iter_unpack(data))


def decode_manifest(body: bytes | memoryview, name: str) -> Manifest:
    """Read a manifest's body; every number in it is held to the format.

    Raises:
        RepositoryDamaged: the bytes are not a manifest of version 1.
    """
    try:
        return _decode(memoryview(body).toreadonly(), name)
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, RepositoryDamaged):
            raise
        raise RepositoryDamaged(f"{name} is not a whole manifest: {error}") from error


def _decode(body: memoryview, name: str) -> Manifest:
    magic, version, frame_chunks, chunk, size, sha, backup, copy, schema, when, source = (
        _HEAD.unpack_from(body)
    )
    if magic != MAGIC or version != VERSION:
        raise RepositoryDamaged(
            f"{name} is not a manifest of version {VERSION}; a newer backup-ledger may read it"
        )
    at = _HEAD.size
    (length,) = _NAME_LENGTH.unpack_from(body, at)
    at += _NAME_LENGTH.size
    filename = bytes(body[at : at + length]).decode()
    at += length
    head = ManifestHead(
        frame_chunks,
        chunk,
        size,
        sha.hex(),
        str(UUID(bytes=backup)),
        str(UUID(bytes=copy)),
        schema.hex(),
        when,
        str(UUID(bytes=source)),
        filename,
    )
    if not chunk or not frame_chunks or head.chunks > MAX_CHUNKS:
        raise RepositoryDamaged(f"{name} has an impossible chunk size")
    packs, at = _decode_packs(body, at)
    if len(body) - at != ROW_BYTES * head.chunks:
        raise RepositoryDamaged(f"{name} does not have one row for each chunk")
    manifest = Manifest(head, packs, body[at:])
    _check_rows(manifest, name)
    return manifest


def _decode_packs(body: memoryview, at: int) -> tuple[tuple[Pack, ...], int]:
    (count,) = _COUNT.unpack_from(body, at)
    at += _COUNT.size
    packs = []
    for _ in range(count):
        pack_name, size, frames = _PACK.unpack_from(body, at)
        at += _PACK.size
        end = at + frames * _FRAME.size
        if end > len(body):
            raise RepositoryDamaged("its list of packs is cut short")
        packs.append(Pack(pack_name, size, decode_frames(body[at:end])))
        at = end
    return tuple(packs), at


def _check_rows(manifest: Manifest, name: str) -> None:
    """Every row names a pack and a frame that are there; a place is looked at when it is read."""
    counts = [len(pack.frames) for pack in manifest.packs]
    packs, frames = manifest.pack_column, manifest.frame_column
    for start in range(0, len(packs), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        named = set(zip(packs[part], frames[part], strict=True))
        if any(pack >= len(counts) or frame >= counts[pack] for pack, frame in named):
            raise RepositoryDamaged(f"{name} names a frame that is not in its list of packs")
