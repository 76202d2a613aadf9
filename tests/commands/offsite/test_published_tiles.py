"""Published tiles, read by other people's code: a Merkle library that knows nothing of ours.

The paths are put together here anew, from https://c2sp.org/tlog-tiles; hashes and proofs are
pymerkle's, the signature is checked with `cryptography` alone.
"""

from __future__ import annotations

import hashlib
import struct
from base64 import b64decode
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pymerkle import InmemoryTree, verify_consistency, verify_inclusion

from commands.audit.keys import read_private_key
from commands.offsite.publish import publish_ledger
from tests.commands.offsite.conftest import MakeOffsite, Offsite


def tile_path(level: str, number: int, width: int) -> str:
    """tile/<L>/<N>[.p/<W>]; 1234067 is x001/x234/067."""
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03d}")
    return f"tile/{level}/{'/'.join(groups)}" + ("" if width == 256 else f".p/{width}")


def rows(size: int) -> list[tuple[int, int]]:
    """Number and width of the tiles of a row of so many entries."""
    return [(number, min(256, size - 256 * number)) for number in range(-(-size // 256))]


def leaf_tiles(folder: Path, size: int) -> list[bytes]:
    data = b"".join((folder / tile_path("0", *row)).read_bytes() for row in rows(size))
    assert len(data) == 32 * size
    return [data[at : at + 32] for at in range(0, len(data), 32)]


def entries(folder: Path, size: int) -> list[bytes]:
    found = []
    for row in rows(size):
        data = (folder / tile_path("entries", *row)).read_bytes()
        while data:
            (length,) = struct.unpack(">H", data[:2])
            found.append(data[2 : 2 + length])
            data = data[2 + length :]
    return found


def signed_tree(folder: Path, public_key: bytes) -> tuple[int, bytes]:
    """Size and root of the checkpoint, whose signature is checked by hand."""
    note = (folder / "checkpoint").read_text("utf-8")
    text, _, line = note.rpartition("\n\n")
    signature = b64decode(line.split(" ")[2])
    Ed25519PublicKey.from_public_bytes(public_key).verify(signature[4:], f"{text}\n".encode())
    _, size, root = text.split("\n")
    return int(size), b64decode(root)


def fill(offsite: Offsite, count: int) -> None:
    for number in range(count):
        offsite.world.configure(keep_count=number % 20 + 1)


@pytest.mark.parametrize("is_clear", [True, False])
def test_a_stranger_s_library_comes_to_the_same_root(
    make_offsite: MakeOffsite, is_clear: bool
) -> None:
    """From the leaf tiles alone; and from the records, where they are not sealed."""
    offsite = make_offsite()
    offsite.add(**({"clear": True, "recipients": (), "identities": ()} if is_clear else {}))
    path = offsite.world.site.configuration.checkpoint_key
    assert path is not None
    public_key = read_private_key(path).verifier().public_key
    folder = offsite.folder / "ledger"
    sizes = []
    for count in (3, 300, 250):
        fill(offsite, count)
        publish_ledger(offsite.world.site, offsite.nas)
        size, root = signed_tree(folder, public_key)
        sizes.append((size, root))
        leaves = leaf_tiles(folder, size)
        tree = InmemoryTree(algorithm="sha256")
        if is_clear:
            records = entries(folder, size)
            assert [hashlib.sha256(b"\0" + each).digest() for each in records] == leaves
            for record in records:
                tree.append_entry(record)
            assert tree.get_root(size) == root
    if not is_clear:
        assert _root_of(leaves) == root
        return
    for (first, old), (second, new) in pairwise(sizes):
        verify_consistency(old, new, tree.prove_consistency(first, second))
    for index in (1, 256, 257, size):
        verify_inclusion(leaves[index - 1], root, tree.prove_inclusion(index, size))
    _check_upper_tiles(folder, leaves)


def _root_of(hashes: list[bytes]) -> bytes:
    """RFC 6962, 2.1, as it is written there."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + _root_of(hashes[:split]) + _root_of(hashes[split:])).digest()


def _check_upper_tiles(folder: Path, leaves: list[bytes]) -> None:
    """Level 1 has the roots of whole tiles of level 0."""
    whole = len(leaves) // 256
    wanted = [_root_of(leaves[256 * number : 256 * (number + 1)]) for number in range(whole)]
    assert (folder / tile_path("1", 0, whole)).read_bytes() == b"".join(wanted)
