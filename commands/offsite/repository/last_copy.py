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
from typing import TYPE_CHECKING

from commands.offsite.errors import RepositoryDamaged
from commands.offsite.repository.manifest import Manifest, decode_manifest
from commands.sqlite.files import create_private

if TYPE_CHECKING:
    from pathlib import Path

BLOCK_CHUNKS = 64
_HEAD = struct.Struct("<4sQ")
_MAGIC = b"BLL1"
HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class LastCopy:
    """A source's last manifest, and the hashes of its blocks."""

    manifest: Manifest
    blocks: memoryview

    def has_block(self, number: int, digest: bytes) -> bool:
        return self.blocks[HASH_BYTES * number : HASH_BYTES * (number + 1)] == digest


def read_last_copy(path: Path) -> LastCopy | None:
    """What was kept; None where nothing whole was."""
    try:
        with path.open("rb") as file:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        return None
    if len(content) < _HEAD.size + HASH_BYTES:
        return None
    magic, length = _HEAD.unpack_from(content)
    whole = content[:-HASH_BYTES]
    if magic != _MAGIC or sha256(whole).digest() != content[-HASH_BYTES:]:
        return None
    try:
        manifest = decode_manifest(whole[_HEAD.size : _HEAD.size + length], path.name)
    except RepositoryDamaged:
        return None
    return LastCopy(manifest, whole[_HEAD.size + length :])


def keep_last_copy(path: Path, body: bytes, blocks: bytes) -> None:
    """Keep a manifest's body and the hashes of its blocks; nothing depends on it."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.new")
    head = _HEAD.pack(_MAGIC, len(body))
    digest = sha256(head)
    digest.update(body)
    digest.update(blocks)
    with suppress(FileNotFoundError):
        unfinished.unlink()
    with os.fdopen(create_private(unfinished), "wb") as file:
        for part in (head, body, blocks, digest.digest()):
            file.write(part)
    os.replace(unfinished, path)
