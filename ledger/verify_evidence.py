"""Check a bundle of evidence from a backup ledger: offline, with nothing but Python 3.9 or newer.

    python3 -I -S verify_evidence.py PUBLIC_KEY [BUNDLE [QUORUM WITNESS_KEY...]]

PUBLIC_KEY is the ledger's public key, name+hash+base64, as you were given it when you began to
watch this ledger. Never take it from the bundle: whoever made the bundle could have made the key.
BUNDLE is a folder or a .zip; without it, the folder of this file. QUORUM: how many of these
witnesses must have cosigned. Exit code 0: everything fits. 3: something does not. 2: wrong usage.

What is checked, and how (read it; it is meant to be read):

- `checkpoint` is a text signed by the key: the ledger's name, its number of records, and the
  root hash of a Merkle tree over them (RFC 6962; https://c2sp.org/tlog-checkpoint). A witness
  signs it with the time, if it continues what it signed before (https://c2sp.org/tlog-cosignature).
- each line of `events.jsonl` is one record, byte for byte; `positions` says where it stands in
  the ledger. Its leaf is SHA-256(0x00 + record); neighbors a, b make SHA-256(0x01 + a + b), and so
  on up to the root. If some are missing, `proofs.jsonl` leads from each record up to the root.
  A line `erased LEAF` stands for a record that was erased on request: one later record of the
  bundle, a `ledger.record_redacted`, must name its position and leaf. So it says who, and why.
- `chain.jsonl` has the checkpoints that were signed before, each with the proof that the next
  is the same ledger with records added, and none changed. One with a line `key-rotated OLD NEW`,
  signed by both keys, hands over to NEW; those before the first of your key are passed over.
- `manifest` is a text signed by the key: size and SHA-256 of every other file, each there once,
  and no others. Bundles of version 0.1.0 have none; that is said.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
import zipfile
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, zip_longest
from typing import Any

Point = tuple[int, int, int, int]  # X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z
Tree = tuple[int, bytes]  # size and root
Keys = Sequence["Key"]
WITNESS = 4  # kind of a witness's key
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
MAX_SIZE = 2**63 - 1  # records
MAX_LINE, MAX_LIST, MAX_BUNDLE = 1 << 17, 1 << 16, 1 << 36  # bytes
MAX_SIGNATURES, NOTE_LINES, SAME_SIZE = 100, 1000, 16  # SAME_SIZE: checkpoints in a chain
NAME = r"[^\s+\0-\x1f]+"  # of a key
NAMES = "README.txt chain.jsonl checkpoint events.jsonl manifest positions proofs.jsonl"
FILES = {*NAMES.split(), "verify_evidence.py"}
ARGUMENTS = "PUBLIC_KEY [BUNDLE [QUORUM WITNESS_KEY...]]"
GOOD = "GOOD: the bundle is what the ledger signed."
ERASED = re.compile(b"erased ([0-9a-f]{64})")  # never a record, which begins with a brace
REDACTED = "ledger.record_redacted"
NOT_YOURS = "a checkpoint is not signed by your public key, but perhaps by another"
MANIFEST = "backup-ledger evidence manifest"  # no key has this name: it is no checkpoint


class Problem(Exception):
    """Something in the bundle does not fit; the message says what."""


def require(fits: object, problem: str) -> None:
    if not fits:
        raise Problem(problem)


# Ed25519 signatures: RFC 8032, section 5.1.
def add_points(one: Point, two: Point) -> Point:
    a = (one[1] - one[0]) * (two[1] - two[0]) % P
    b = (one[1] + one[0]) * (two[1] + two[0]) % P
    c, d = 2 * one[3] * two[3] * D % P, 2 * one[2] * two[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(number: int, point: Point) -> Point:
    half = multiply(number >> 1, add_points(point, point)) if number else (0, 1, 1, 0)
    return add_points(half, point) if number & 1 else half


def decode_point(data: bytes) -> Point:
    """The point behind 32 bytes: y, and one bit that says which x."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    is_point = y < P and (x * x - square) % P == 0 and (x or not sign)
    require(is_point, "a key is not a point on the curve")
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
    is_base64 = re.fullmatch("([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}(==|[A-Za-z0-9+/]=))?", text)
    data = b64decode(text) if is_base64 else b""
    require(b64encode(data).decode() == text, f"not canonical base64: {text[:60]!r}")
    return data


class Key:
    """A public key: name+hash+base64 of its kind (1, a witness's: 4) and the key's 32 bytes."""

    def __init__(self, text: str, kind: int = 1) -> None:
        self.name, self.hash, *rest = [*text.split("+", 2), "", ""]
        material = decode_base64(rest[0])
        self.id = hashlib.sha256(self.name.encode() + b"\n" + material).digest()[:4]
        self.text, self.kind, self.bytes = text, kind, material[1:]
        fits = len(self.bytes) == 32 and material[0] == kind and self.id.hex() == self.hash
        require(fits, f"not a public key (name+hash+base64): {text[:300]!r}")
        require(re.fullmatch(NAME, self.name), f"not a key's name: {self.name[:60]!r}")
        decode_point(self.bytes)

    def has_signed(self, text: str, signature: bytes) -> bool:
        if self.kind == WITNESS:  # the time, and a signature of it and the text
            time, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            text = f"cosignature/v1\ntime {time}\n{text}" if time <= MAX_SIZE else ""
        return is_signed(self.bytes, text.encode(), signature)

    def open_note(self, note: str, witnesses: Keys = (), quorum: int = 0) -> str:
        """The text of a note, after checking that this key and enough witnesses signed it once."""
        text, separator, lines = note.rpartition("\n\n")
        text, signers = text + "\n", []
        keys = {(each.name, each.id): each for each in [*witnesses, self]}
        if not separator or not lines.endswith("\n") or re.search("[\0-\x09\x0b-\x1f]", note):
            raise Problem("a text is not signed by your public key, nor in the form of a note")
        for line in lines[:-1].split("\n"):
            match = re.fullmatch(f"— ({NAME}) ([^ ]+)", line)
            data = decode_base64(match[2]) if match else b""
            if match is None or len(data) < 5:
                raise Problem(f"there is something else where signatures should be: {line[:60]!r}")
            signers.append((match[1], data[:4]))
            key = keys.get(signers[-1])
            if key is not None and not key.has_signed(text, data[4:]):
                raise Problem("the signature of a checkpoint is wrong: it was changed")
        are_once = len(set(signers)) == len(signers) <= MAX_SIGNATURES
        require(are_once, "a text is not signed once by each key, or by too many")
        require((self.name, self.id) in signers, NOT_YOURS)
        cosigned = {keys[each].bytes for each in signers if each in keys} - {self.bytes}
        signed = f"{len(cosigned)} of your {len(witnesses)} witnesses signed a checkpoint"
        require(len(cosigned) >= quorum, f"{signed}; {quorum} must have signed")
        return text

    def open_checkpoint(self, note: str, witnesses: Keys = (), quorum: int = 0) -> Tree:
        """Size and root of a checkpoint that this key, and enough of the witnesses, signed."""
        lines = self.open_note(note, witnesses, quorum)[:-1].split("\n")
        name, size, root, *more = [*lines, "", ""]
        if name != self.name or not re.fullmatch("0|[1-9][0-9]{0,18}", size) or "" in more[:-2]:
            raise Problem("a signed text is not a checkpoint of this ledger")
        tree = int(size), decode_base64(root)
        fits = len(tree[1]) == 32 and tree[0] <= MAX_SIZE and (tree[0] or tree == tree_of([]))
        require(fits, "a checkpoint has no root that fits its size")
        return tree


# The Merkle tree: RFC 6962, section 2.1, and RFC 9162, sections 2.1.3 and 2.1.4.
def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def climb(index: int, last: int, path: list[bytes]) -> tuple[bytes, bytes]:
    """The old and the new root that a path leads to, from the subtree at `index` of 0..last."""
    old = new = path[0]
    for sibling in path[1:]:
        require(last, "a proof is too long")
        if index & 1 or index == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        index, last = index >> 1, last >> 1
    require(not last, "a proof is too short")
    return old, new


def check_consistency(first: Tree, second: Tree, proof: list[bytes]) -> None:
    """The second tree is the first with records added."""
    if first[0] > second[0] or (first[0] == second[0] and (proof or first != second)):
        raise Problem(
            f"two checkpoints, of {first[0]} and {second[0]} records, contradict each other"
        )
    if first[0] in (0, second[0]):
        return
    index, last = first[0] - 1, second[0] - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    # A complete first tree is a subtree of the second, so the proof leaves its root out.
    path = [first[1], *proof] if first[0] & (first[0] - 1) == 0 else proof
    fits = path and climb(index, last, path) == (first[1], second[1])
    require(fits, f"the ledger of {second[0]} records does not continue that of {first[0]}")


def leaf_of(line: bytes) -> bytes:
    erased = ERASED.fullmatch(line)
    return bytes.fromhex(erased[1].decode()) if erased else hashlib.sha256(b"\0" + line).digest()


def tree_of(records: Iterable[bytes]) -> Tree:
    peaks: list[bytes] = []  # roots of the complete subtrees, largest first
    size = 0
    for size, record in enumerate(records, 1):
        peaks.append(leaf_of(record))
        bits = size
        while not bits & 1:
            right = peaks.pop()
            peaks[-1], bits = node_hash(peaks[-1], right), bits >> 1
    root = peaks.pop() if peaks else hashlib.sha256(b"").digest()
    while peaks:
        root = node_hash(peaks.pop(), root)
    return size, root


# The bundle: a closed set of regular files, read a line at a time.
class Bundle:
    def __init__(self, path: str) -> None:
        self.path = path
        self.is_folder, mode = os.path.isdir(path), os.stat(path).st_mode
        require(self.is_folder or stat.S_ISREG(mode), "the bundle is neither a folder nor a file")
        found = self.entries_of_folder() if self.is_folder else self.entries_of_zip()
        self.names: set[str] = set()
        for name, is_regular, _size in found:
            belongs = name in FILES - self.names and is_regular
            require(belongs, f"{name[:60]!r} does not belong in a bundle, or is in it twice")
            self.names.add(name)
        total = sum(size for _name, _is_regular, size in found)
        require(total <= MAX_BUNDLE, "the bundle is too large; ask for parts of the ledger")
        is_whole = self.names.issuperset(FILES - {"manifest", "proofs.jsonl"})
        require(is_whole, f"the bundle is not whole: it has {', '.join(sorted(self.names))}")

    def entries_of_folder(self) -> list[tuple[str, bool, int]]:
        entries = islice(os.scandir(self.path), len(FILES) + 1)
        facts = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        return [(name, stat.S_ISREG(each.st_mode), each.st_size) for name, each in facts]

    def entries_of_zip(self) -> list[tuple[str, bool, int]]:
        with open(self.path, "rb") as file:  # its end says how long the list of files is
            file.seek(-min(os.path.getsize(self.path), 98), os.SEEK_END)
            end = file.read().rjust(98, b"\0")
        sizes = [end[88:92], end[40:48] if end[56:60] == b"PK\6\7" else b""]  # plain and zip64
        is_small = all(int.from_bytes(size, "little") <= MAX_LIST for size in sizes)
        require(end[76:80] == b"PK\5\6" and is_small, "the file is not the .zip of a bundle")
        with zipfile.ZipFile(self.path) as archive:
            found = archive.infolist()
        return [(e.filename, e.external_attr >> 28 in (0, 8), e.file_size) for e in found]

    def open(self, name: str) -> Any:
        require(name in self.names, f"the bundle has no {name}")
        if self.is_folder:
            return open(os.path.join(self.path, name), "rb")
        with zipfile.ZipFile(self.path) as archive:
            return archive.open(name)  # keeps the archive open for itself

    def lines(self, name: str) -> Iterator[bytes]:
        with self.open(name) as file:
            while line := file.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE or not line.endswith(b"\n"):
                    raise Problem(f"a line of {name} is too long, or the last line is not complete")
                yield line[:-1]

    def note(self, name: str) -> str:
        return b"\n".join([*islice(self.lines(name), NOTE_LINES), b""]).decode()

    def digest(self, name: str) -> str:
        size, digest = 0, hashlib.sha256()
        with self.open(name) as file:
            while size <= MAX_BUNDLE and (piece := file.read(1 << 20)):
                size += len(piece)
                digest.update(piece)
        return f"{size} {digest.hexdigest()} {name}"


def check_manifest(bundle: Bundle, key: Key) -> str:
    """Every file is the one that was signed for; what that means, in plain words."""
    if "manifest" not in bundle.names:
        return "Not signed, as in bundles of version 0.1.0: README.txt and verify_evidence.py."
    first, *lines = key.open_note(bundle.note("manifest")).splitlines()
    found = [bundle.digest(name) for name in sorted(bundle.names - {"manifest"})]
    require(first == MANIFEST and lines == found, "a file is not the one that the manifest names")
    return "Every file of this bundle is the one that its signed manifest names."


def positions_of(bundle: Bundle, size: int) -> Iterator[int]:
    """Where the records stand in the ledger, each later than the one before."""
    last = 0
    for line in bundle.lines("positions"):
        if not re.fullmatch(b"[1-9][0-9]{0,18}", line) or not last < int(line) <= size:
            raise Problem(f"the file positions is not in order after {last}: they do not fit")
        last = int(line)
        yield last


def hashes_in(texts: Any) -> list[bytes]:
    if not isinstance(texts, list) or not all(re.fullmatch("[0-9a-f]{64}", t) for t in texts):
        raise Problem("a proof contains something that is not a hash")
    return [bytes.fromhex(each) for each in texts]


def check_events(bundle: Bundle, tree: Tree) -> tuple[int, int, int]:
    """Every record of the bundle is in the signed tree; number, first and last position."""
    (size, root), count, first, last = tree, 0, 0, 0
    for last in positions_of(bundle, size):
        count, first = count + 1, first or last
    fits = count and (count == size) != ("proofs.jsonl" in bundle.names)
    require(fits, f"{count} positions do not fit the other files: proofs go with a part")
    records = bundle.lines("events.jsonl")
    if count == size:
        fits = tree_of(islice(records, size + 1)) == tree
        require(fits, "the records are not the ones that were signed: changed, cut or added to")
        return count, first, last
    for row in zip_longest(positions_of(bundle, size), records, bundle.lines("proofs.jsonl")):
        if None in row:
            raise Problem("events.jsonl, positions and proofs.jsonl are not of one length")
        path = [leaf_of(row[1]), *hashes_in(json.loads(row[2]))]
        if climb(row[0] - 1, size - 1, path)[1] != root:
            raise Problem(f"the record at position {row[0]} is not the one that was signed")
    return count, first, last


def check_erased(bundle: Bundle, size: int) -> str:
    """Of each erased record one later record says that it was erased; what that means."""
    gone: dict[int, str] = {}
    told: dict[int, list[tuple[bool, str]]] = {}
    positions = positions_of(bundle, size)
    for line in bundle.lines("events.jsonl"):
        at = next(positions)
        if erased := ERASED.fullmatch(line):
            gone[at] = erased[1].decode()
        record: Any = json.loads(line) if REDACTED.encode() in line else {"event_type": ""}
        kind, details = record["event_type"], record.get("details")
        while kind == REDACTED:  # one that is about another one kept what that one said
            kind, target = details["event_type"], details["position"]
            told.setdefault(target, []).append((target < at, details["leaf_hash"]))
            at, details = target, details["kept"]["details"]
    for position, leaf in gone.items():
        is_told = told.get(position) == [(True, leaf)]
        require(is_told, f"the record at position {position} is gone, and no event says why")
    unchanged = "each is unchanged"
    return (
        f"{unchanged}, {len(gone)} erased on request, as other records here show"
        if gone
        else unchanged
    )


def check_chain(bundle: Bundle, key: Key) -> tuple[Key, Tree, int]:
    """From your key's first on each is signed, and continued; the last's key, tree, and number."""
    count, same, before = 0, 0, (0, b"")
    mark = f"\n— {key.name} {b64encode(key.id).decode()[:5]}"
    for line in bundle.lines("chain.jsonl"):
        link = json.loads(line)
        is_link = sorted(link) == ["checkpoint", "proof"]
        require(is_link, "a line of chain.jsonl contains something unexpected")
        note, proof = link["checkpoint"], link["proof"]
        if not count and mark not in note:
            continue  # of a key before yours
        tree = key.open_checkpoint(note)
        same = same + 1 if before == tree else 0
        require(same <= SAME_SIZE, "the chain repeats a checkpoint")
        if count:
            check_consistency(before, tree, hashes_in(proof))
        count, before = count + 1, tree
        if handed := re.search(f"\nkey-rotated {re.escape(key.text)} ([^ \n]+)\n", note):
            key = Key(handed[1])
            key.open_checkpoint(note)
    require(count, NOT_YOURS)
    return key, before, count


def check(path: str, first_key: Key, witnesses: Keys = (), quorum: int = 0) -> list[str]:
    """Check a bundle; what it proves, in plain words. Raises Problem, whatever is wrong."""
    try:
        bundle = Bundle(path)
        key, tree, links = check_chain(bundle, first_key)
        if key.open_checkpoint(bundle.note("checkpoint"), witnesses, quorum) != tree:
            raise Problem("the chain of checkpoints does not end with the bundle's own")
        number, first, last = check_events(bundle, tree)
        erased = check_erased(bundle, tree[0])
        signed = check_manifest(bundle, key)
    except Problem:
        raise
    except Exception as error:  # noqa: BLE001  (nothing that a bundle does may look like a pass)
        raise Problem(f"a file of the bundle cannot be read: {error!r:.200}") from None
    by = "with the key you gave" if key is first_key else f"with its successor {key.text}"
    by += f", and by {quorum} of your witnesses or more" if quorum else ""
    return [
        f"The checkpoint of {tree[0]} records is signed by {key.name}, {by}.",
        f"Records in this bundle: {number}, from position {first} to {last}; {erased}.",
        f"Signed checkpoints of one and the same growing history: {links}.",
        signed,
        "These are all records up to the checkpoint: none is left out."
        if number == tree[0]
        else f"Records not in this bundle: {tree[0] - number}. It proves what it contains, "
        "not that nothing that matters was left out.",
    ]


def main(arguments: list[str]) -> int:
    path = [os.path.dirname(os.path.abspath(__file__)), *arguments[1:2]][-1]
    try:
        key, witnesses = Key(arguments[0]), [Key(each, WITNESS) for each in arguments[3:]]
        quorum = int(["0", *arguments[2:3]][-1])
        require(bool(arguments[2:]) <= quorum <= len(witnesses), "QUORUM needs as many keys")
    except (IndexError, Problem, ValueError) as problem:
        sys.stderr.write(f"{problem}\nusage: python3 -I -S verify_evidence.py {ARGUMENTS}\n")
        return 2
    try:
        verdict = [*check(path, key, witnesses, quorum), GOOD]
    except Problem as problem:
        verdict = [f"BAD: {problem}.", "Do not rely on this bundle."]
    sys.stdout.write("\n".join([*verdict, ""]))
    return 0 if verdict[-1] == GOOD else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
