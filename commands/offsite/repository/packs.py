"""Packs: frames of new chunks, sealed together; and the list of a copy's packs.

A frame holds up to 64 chunks and 4 MiB; a pack at most 16 MiB of frames and 256 MiB plain. Every
frame but the last of a pack is full, so a chunk's place in its pack tells its frame.

The list of a copy's packs (`copies/<copy_id>.packs`, in the clear) has 40 bytes for each pack, in
the order of the names: the name (32 bytes), the object's size (8, big endian). Its root is the
RFC 6962 tree over these entries.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from commands.offsite.errors import RepositoryDamaged
from ledger.tree.merkle import Frontier, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Iterable

    from commands.offsite.repository.seal import FrameCompressor, Sealer

FRAME_CHUNKS = 64
MAX_FRAME_BYTES = 4 << 20
MAX_PACK_BYTES = 16 << 20
MAX_PACK_PLAIN_BYTES = 256 << 20
_ENTRY = struct.Struct(">32sQ")


class Frame(NamedTuple):
    """Where a frame is in the decrypted pack, and its sizes in bytes."""

    offset: int
    compressed: int
    plain: int


@dataclass(frozen=True, slots=True)
class Pack:
    """An object, by the SHA-256 of its bytes."""

    name: bytes
    size: int
    frames: tuple[Frame, ...]


class PackEntry(NamedTuple):
    """A pack as it stands in a list of packs."""

    name: bytes
    size: int


@dataclass
class OpenPack:
    """A pack while it is filled. `hashes`: of its chunks, in order; `size`: of its content."""

    sealer: Sealer
    compressor: FrameCompressor
    frame_bytes: int
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    frames: list[Frame] = field(default_factory=list)
    hashes: bytearray = field(default_factory=bytearray)
    waiting: bytearray = field(default_factory=bytearray)
    plain_bytes: int = 0

    def __post_init__(self) -> None:
        self._append(self.sealer.beginning)

    @property
    def chunks(self) -> int:
        return len(self.hashes) // 32

    @property
    def is_full(self) -> bool:
        """Whether another frame might not fit; between frames only."""
        return not self.waiting and (
            self.size + self.frame_bytes + (self.frame_bytes >> 7) + 512 > MAX_PACK_BYTES
            or self.plain_bytes + self.frame_bytes > MAX_PACK_PLAIN_BYTES
        )

    def add(self, chunk: memoryview, digest: bytes) -> int:
        """Take one more chunk; its place in the pack."""
        place = self.chunks
        self.hashes += digest
        self.waiting += chunk
        if len(self.waiting) >= self.frame_bytes:
            self.end_frame()
        return place

    def end_frame(self) -> None:
        if self.waiting:
            compressed = self.compressor.frame(self.waiting)
            self.frames.append(Frame(self.size, len(compressed), len(self.waiting)))
            self._append(compressed)
            self.plain_bytes += len(self.waiting)
            self.waiting.clear()

    def sealed(self) -> tuple[Pack, bytes]:
        """The finished pack and its object; what it was made of is let go."""
        self.end_frame()
        content = b"".join(self.parts)
        self.parts.clear()
        sealed = self.sealer.seal(content)
        return Pack(sha256(sealed).digest(), len(sealed), tuple(self.frames)), sealed

    def _append(self, part: bytes) -> None:
        self.parts.append(part)
        self.size += len(part)


def frame_chunks(chunk_bytes: int) -> int:
    """How many chunks of this size a frame holds at most."""
    return max(1, min(FRAME_CHUNKS, MAX_FRAME_BYTES // chunk_bytes))


def encode_pack_list(packs: Iterable[PackEntry]) -> bytes:
    return b"".join(_ENTRY.pack(*entry) for entry in sorted(set(packs)))


def decode_pack_list(data: bytes, name: str) -> list[PackEntry]:
    """The entries of a list of packs.

    Raises:
        RepositoryDamaged: the bytes are no such list.
    """
    if len(data) % _ENTRY.size:
        raise RepositoryDamaged(f"{name} is cut short")
    entries = [PackEntry(*fields) for fields in _ENTRY.iter_unpack(data)]
    if any(one.name >= other.name for one, other in pairwise(entries)):
        raise RepositoryDamaged(f"{name} is not in the order of its names")
    return entries


def packs_root(pack_list: bytes) -> str:
    """RFC 6962 root over the entries of an encoded list, in hex."""
    hashes = [
        leaf_hash(pack_list[start : start + _ENTRY.size])
        for start in range(0, len(pack_list), _ENTRY.size)
    ]
    return Frontier().append_leaves(hashes)[0].root().hex()
