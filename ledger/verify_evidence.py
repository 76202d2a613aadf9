"""Check a bundle of evidence from a backup ledger: offline, with nothing but Python 3.9 or newer.

    python3 -I -S verify_evidence.py PUBLIC_KEY [BUNDLE]

PUBLIC_KEY is the ledger's public key, name+hash+base64, as you were given it when you began to
watch this ledger. Never take it from the bundle: whoever made the bundle could have made the key.
BUNDLE is a folder or a .zip; without it, the folder of this file. Exit code 0: everything fits.
3: something does not. 2: called in the wrong way.

What is checked, and how (read it; it is meant to be read):

- `checkpoint` is a text signed by the key: the ledger's name, its number of records, and the
  root hash of a Merkle tree over them (RFC 6962; https://c2sp.org/tlog-checkpoint).
- each line of `events.jsonl` is one record, byte for byte; the same line of `positions` says
  where it stands in the ledger. Its leaf is SHA-256(0x00 + record); two neighbours a, b make
  SHA-256(0x01 + a + b), and so on up to the root. If all records are here the root is computed
  from them; if not, each line of `proofs.jsonl` leads from its record up to the root.
- `chain.jsonl` has the checkpoints that were signed before, each with the proof that the next
  is the same ledger with records added, and none changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import zipfile
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

Point = tuple[int, int, int, int]  # X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z
Tree = tuple[int, bytes]  # size and root
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


class Problem(Exception):
    """Something in the bundle does not fit; the message says what."""


# Ed25519 signatures: RFC 8032, section 5.1.
def add_points(one: Point, two: Point) -> Point:
    a = (one[1] - one[0]) * (two[1] - two[0]) % P
    b = (one[1] + one[0]) * (two[1] + two[0]) % P
    c, d = 2 * one[3] * two[3] * D % P, 2 * one[2] * two[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(number: int, point: Point) -> Point:
    result: Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = add_points(result, point)
        point, number = add_points(point, point), number >> 1
    return result


def decode_point(data: bytes) -> Point:
    """The point behind 32 bytes: y, and one bit that says which x."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise Problem("a key is no point of the curve")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the key signed the message: R = [S]B - [SHA-512(R, A, message)]A."""
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest()
    base = decode_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    x, y, z, t = decode_point(public_key)
    minus_key = multiply(int.from_bytes(digest, "little") % ORDER, (P - x, y, z, P - t))
    found = add_points(multiply(s, base), minus_key)
    inverse = pow(found[2], P - 2, P)
    x, y = found[0] * inverse % P, found[1] * inverse % P
    return bool((y | (x & 1) << 255).to_bytes(32, "little") == signature[:32])


# Keys and signed checkpoints: https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint.
def decode_base64(text: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        raise Problem(f"not base64: {text!r}") from None
    if b64encode(data).decode() != text:  # the same bytes could be written in several ways
        raise Problem(f"not canonical base64: {text!r}")
    return data


class Key:
    """A public key: name+hash+base64, where base64 is of the byte 1 and the key's 32 bytes."""

    def __init__(self, text: str) -> None:
        self.name, self.hash, *rest = [*text.split("+", 2), "", ""]
        material = decode_base64(rest[0])
        self.id = hashlib.sha256(self.name.encode() + b"\n" + material).digest()[:4]
        self.bytes = material[1:]
        if len(self.bytes) != 32 or material[0] != 1 or self.id.hex() != self.hash:
            raise Problem(f"not a public key (name+hash+base64): {text!r}")
        decode_point(self.bytes)

    def open_checkpoint(self, note: str) -> Tree:
        """Size and root of a checkpoint, after checking that this key signed it."""
        text, separator, lines = note.rpartition("\n\n")
        text, signed = text + "\n", 0
        for line in lines.removesuffix("\n").split("\n") if separator else []:
            match = re.fullmatch("— ([^ ]+) ([^ ]+)", line)
            data = decode_base64(match[2]) if match else b""
            if match and match[1] == self.name and data[:4] == self.id:
                if not is_signed(self.bytes, text.encode(), data[4:]):
                    raise Problem("the signature of a checkpoint is wrong: it was changed")
                signed += 1
        if signed != 1 or not lines.endswith("\n"):
            raise Problem("a checkpoint is not signed by your public key, but perhaps by another")
        name, size, root, *_ = [*text.split("\n"), "", ""]
        if name != self.name or not re.fullmatch("0|[1-9][0-9]{0,18}", size):
            raise Problem("a signed text is no checkpoint of this ledger")
        return int(size), decode_base64(root)


# The Merkle tree: RFC 6962, section 2.1, and RFC 9162, sections 2.1.3 and 2.1.4.
def leaf_hash(record: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def climb(index: int, last: int, path: list[bytes]) -> tuple[bytes, bytes]:
    """The old and the new root that a path leads to, from the subtree at `index` of 0..last."""
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise Problem("a proof is too long")
        if index & 1 or index == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        index, last = index >> 1, last >> 1
    if last:
        raise Problem("a proof is too short")
    return old, new


def check_consistency(first: Tree, second: Tree, proof: list[bytes]) -> None:
    """The second tree is the first with records added."""
    if first[0] > second[0] or (first[0] == second[0] and (proof or first != second)):
        raise Problem(f"two checkpoints, of {first[0]} and {second[0]} records, are at odds")
    if first[0] in (0, second[0]):
        return
    index, last = first[0] - 1, second[0] - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    # A complete first tree is a subtree of the second, so the proof leaves its root out.
    path = [first[1], *proof] if first[0] & (first[0] - 1) == 0 else proof
    if not path or climb(index, last, path) != (first[1], second[1]):
        raise Problem(f"the ledger of {second[0]} records does not continue that of {first[0]}")


def tree_of(records: Iterable[bytes]) -> Tree:
    peaks: list[bytes] = []  # roots of the complete subtrees, largest first
    size = 0
    for size, record in enumerate(records, 1):
        peaks.append(leaf_hash(record))
        bits = size
        while not bits & 1:
            right = peaks.pop()
            peaks[-1], bits = node_hash(peaks[-1], right), bits >> 1
    root = peaks.pop() if peaks else hashlib.sha256(b"").digest()
    while peaks:
        root = node_hash(peaks.pop(), root)
    return size, root


# The bundle, a line at a time, so that its size does not matter.
def lines_of(bundle: str, name: str) -> Iterator[bytes]:
    try:
        if os.path.isdir(bundle):
            file: Any = open(os.path.join(bundle, name), "rb")  # noqa: SIM115
        else:
            with zipfile.ZipFile(bundle) as archive:
                file = archive.open(name)  # keeps the archive open for itself
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise Problem(f"{name} of the bundle cannot be read: {error}") from None
    with file:
        for line in file:
            if not line.endswith(b"\n"):
                raise Problem(f"the last line of {name} is not complete")
            yield line[:-1]


def positions_of(bundle: str) -> Iterator[int]:
    """Where the records stand in the ledger, each later than the one before."""
    last = 0
    for line in lines_of(bundle, "positions"):
        if not re.fullmatch(b"[1-9][0-9]{0,18}", line) or int(line) <= last:
            raise Problem(f"the file positions is not in order after {last}")
        last = int(line)
        yield last


def hashes_in(texts: Any) -> list[bytes]:
    if not isinstance(texts, list) or not all(re.fullmatch("[0-9a-f]{64}", t) for t in texts):
        raise Problem("a proof holds something that is no hash")
    return [bytes.fromhex(each) for each in texts]


def check_events(bundle: str, tree: Tree) -> tuple[int, int, int]:
    """Every record of the bundle is in the signed tree; number, first and last position."""
    (size, root), count, first, last = tree, 0, 0, 0
    for last in positions_of(bundle):
        count, first = count + 1, first or last
    if not count or last > size:
        raise Problem(f"the positions do not fit a ledger of {size} records")
    records = lines_of(bundle, "events.jsonl")
    if count == size:
        if tree_of(records) != tree:
            raise Problem("the records are not the ones that were signed: changed, cut or added to")
        return count, first, last
    for row in zip_longest(positions_of(bundle), records, lines_of(bundle, "proofs.jsonl")):
        if None in row:
            raise Problem("events.jsonl, positions and proofs.jsonl are not of one length")
        path = [leaf_hash(row[1]), *hashes_in(json.loads(row[2]))]
        if climb(row[0] - 1, size - 1, path)[1] != root:
            raise Problem(f"the record at position {row[0]} is not the one that was signed")
    return count, first, last


def check_chain(bundle: str, key: Key, newest: Tree) -> int:
    """Every earlier checkpoint is signed, and the next one continues it; how many there are."""
    count, before = 0, None
    for line in lines_of(bundle, "chain.jsonl"):
        link = json.loads(line)
        tree = key.open_checkpoint(link["checkpoint"])
        if before is not None:
            check_consistency(before, tree, hashes_in(link["proof"]))
        count, before = count + 1, tree
    if before != newest:
        raise Problem("the chain of checkpoints does not end with the bundle's own")
    return count


def check(bundle: str, key: Key) -> list[str]:
    """Check a bundle; what it proves, in plain words. Raises Problem."""
    try:
        note = b"".join(line + b"\n" for line in lines_of(bundle, "checkpoint")).decode()
        tree = key.open_checkpoint(note)
        number, first, last = check_events(bundle, tree)
        links = check_chain(bundle, key, tree)
    except (ValueError, KeyError, TypeError, RecursionError, OSError, zipfile.BadZipFile) as error:
        raise Problem(f"a file of the bundle cannot be read: {error}") from None
    return [
        f"The checkpoint of {tree[0]} records is signed by {key.name}, with the key you gave.",
        f"Records in this bundle: {number}, from position {first} to {last}; each is unchanged.",
        f"Signed checkpoints of one and the same growing history: {links}.",
        "These are all records up to the checkpoint: none is left out."
        if number == tree[0]
        else f"Records not in this bundle: {tree[0] - number}. It proves what it contains, "
        "not that nothing that matters was left out.",
    ]


def main(arguments: list[str]) -> int:
    usage = "usage: python3 -I -S verify_evidence.py PUBLIC_KEY [BUNDLE]"
    try:
        key = Key(arguments[0]) if len(arguments) in (1, 2) else None
    except Problem as problem:
        key, usage = None, f"{problem}\n{usage}"
    if key is None:
        sys.stderr.write(f"{usage}\n")
        return 2
    bundle = [os.path.dirname(os.path.abspath(__file__)), *arguments[1:]][-1]
    try:
        verdict = [*check(bundle, key), "GOOD: the bundle is what the ledger signed."]
    except Problem as problem:
        verdict = [f"BAD: {problem}.", "Do not rely on this bundle."]
    sys.stdout.write("\n".join([*verdict, ""]))
    return 0 if verdict[-1].startswith("GOOD") else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
