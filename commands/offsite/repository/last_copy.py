"""The manifest of a source's last copy, kept here so that an unchanged block is one comparison.

    BLL1 | length of the body (u64) | manifest's body | SHA-256 of each block of 64 chunks | SHA-256

The last hash is over everything before it: what is not whole is not believed. Little endian.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING

from commands.offsite.errors import RepositoryDamaged
from commands.offsite.repository.manifest import Manifest, decode_manifest
from commands.sqlite.files import create_private

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BLOCK_CHUNKS = 64
BLOCKS_AT_ONCE = 1_024
"""How many blocks are compared before their memory is let go."""
_HEAD = struct.Struct("<4sQ")
_MAGIC = b"BLL1"
HASH_BYTES = 32
PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class LastCopy:
    """A source's last manifest, and the hashes of its blocks."""

    manifest: Manifest
    blocks: memoryview
    mapped: mmap.mmap

    def has_block(self, number: int, digest: bytes) -> bool:
        if number % BLOCKS_AT_ONCE == 0:
            self.mapped.madvise(mmap.MADV_DONTNEED)  # what was read so far is not needed again
        return self.blocks[HASH_BYTES * number : HASH_BYTES * (number + 1)] == digest


def read_last_copy(path: Path) -> LastCopy | None:
    """What was kept; None where nothing whole was."""
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    content = memoryview(mapped)
    if len(content) < _HEAD.size + HASH_BYTES:
        return None
    magic, length = _HEAD.unpack_from(content)
    whole = content[:-HASH_BYTES]
    if magic != _MAGIC or _digest(mapped, whole) != content[-HASH_BYTES:]:
        return None
    try:
        manifest = decode_manifest(whole[_HEAD.size : _HEAD.size + length], path.name)
    except RepositoryDamaged:
        return None
    mapped.madvise(mmap.MADV_DONTNEED)
    return LastCopy(manifest, whole[_HEAD.size + length :], mapped)


def _digest(mapped: mmap.mmap, content: memoryview) -> bytes:
    """SHA-256 of a mapped file's content, which is let go as it is read."""
    digest = sha256()
    for start in range(0, len(content), PIECE_BYTES):
        digest.update(content[start : start + PIECE_BYTES])
        mapped.madvise(mmap.MADV_DONTNEED)
    return digest.digest()


def keep_last_copy(
    path: Path, size: int, body: Iterable[bytes | memoryview], blocks: bytes
) -> None:
    """Keep a manifest's body, in pieces, and the hashes of its blocks; nothing depends on it."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.new")
    digest = sha256()
    with suppress(FileNotFoundError):
        unfinished.unlink()
    with os.fdopen(create_private(unfinished), "wb") as file:
        for part in chain((_HEAD.pack(_MAGIC, size),), body, (blocks,)):
            digest.update(part)
            file.write(part)
        file.write(digest.digest())
    os.replace(unfinished, path)
