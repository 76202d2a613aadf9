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

import hashlib
import json
import os
import re
import sys
import zipfile
from base64 import b64decode, b64encode
from itertools import zip_longest

GOOD, USAGE, BAD = 0, 2, 3

# ---- Ed25519, RFC 8032 section 5.1: the curve, points in extended coordinates (X, Y, Z, T) ----
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


class Problem(Exception):  # noqa: N818
    """Something in the bundle does not fit; the message says what."""


def add_points(one, two):
    """Sum of two points."""
    a = (one[1] - one[0]) * (two[1] - two[0]) % P
    b = (one[1] + one[0]) * (two[1] + two[0]) % P
    c, d = 2 * one[3] * two[3] * D % P, 2 * one[2] * two[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(number, point):
    """A point added to itself so many times."""
    result = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = add_points(result, point)
        point, number = add_points(point, point), number >> 1
    return result


def decode_point(data):
    """The point behind 32 bytes: y, and one bit that says which x."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise Problem("a key or signature is no point of the curve")
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def encode_point(point):
    """The 32 bytes of a point."""
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = decode_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(public_key, message, signature):
    """Whether the key signed the message: R = [S]B - [H(R, A, message)]A."""
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest()
    k = int.from_bytes(digest, "little") % ORDER
    x, y, z, t = decode_point(public_key)
    minus_key = (P - x, y, z, P - t)
    found = add_points(multiply(s, BASE), multiply(k, minus_key))
    return encode_point(found) == signature[:32]


# ---- Keys and signed checkpoints, https://c2sp.org/signed-note ----
def decode_base64(text):
    """Bytes of a base64 text that is written in the one canonical way."""
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        raise Problem(f"not base64: {text!r}") from None
    if b64encode(data).decode() != text:
        raise Problem(f"not canonical base64: {text!r}")
    return data


def parse_key(text):
    """Name, 4-byte id and 32-byte Ed25519 key from name+hash+base64."""
    parts = text.split("+", 2)
    material = decode_base64(parts[2]) if len(parts) == 3 else b""
    key_id = hashlib.sha256(parts[0].encode() + b"\n" + material).digest()[:4]
    if len(material) != 33 or material[0] != 1 or key_id.hex() != parts[1]:
        raise Problem(f"not a public key (name+hash+base64): {text!r}")
    return parts[0], key_id, material[1:]


def open_checkpoint(note, key):
    """Size and root of a checkpoint, after checking that the key signed it."""
    name, key_id, public_key = key
    text, separator, signatures = note.rpartition("\n\n")
    text += "\n"
    signed_by_key = 0
    for line in signatures.removesuffix("\n").split("\n") if separator else []:
        match = re.fullmatch("— ([^ ]+) ([^ ]+)", line)
        data = decode_base64(match[2]) if match else b""
        if match and match[1] == name and data[:4] == key_id:
            if not is_signed(public_key, text.encode(), data[4:]):
                raise Problem("the signature of a checkpoint is wrong: it was changed")
            signed_by_key += 1
    if signed_by_key != 1 or not signatures.endswith("\n"):
        raise Problem("a checkpoint is not signed by your public key: another key, or swapped")
    lines = text.split("\n")
    if len(lines) < 4 or lines[0] != name or not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]):
        raise Problem("a signed text is no checkpoint of this ledger")
    return int(lines[1]), decode_base64(lines[2])


# ---- The Merkle tree, RFC 6962 section 2.1 and RFC 9162 section 2.1.3 and 2.1.4 ----
def leaf_hash(record):
    return hashlib.sha256(b"\x00" + record).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def climb(index, last, path):
    """The two roots that a path leads to, from a leaf (or subtree) at `index`: old and new."""
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


def check_consistency(first, second, proof):
    """The second (size, root) is the first with records added."""
    if first[0] > second[0] or (first[0] == second[0] and (proof or first != second)):
        raise Problem(
            f"the checkpoints of {first[0]} and {second[0]} records contradict each other"
        )
    if first[0] in (0, second[0]):
        return
    index, last = first[0] - 1, second[0] - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    path = [first[1], *proof] if first[0] & (first[0] - 1) == 0 else proof
    if not path or climb(index, last, path) != (first[1], second[1]):
        raise Problem(f"the ledger of {second[0]} records does not continue that of {first[0]}")


def root_of(records):
    """Number and root of all records: `peaks` are the complete subtrees, largest first."""
    peaks, size = [], 0
    for record in records:
        peaks.append(leaf_hash(record))
        size += 1
        bits = size
        while not bits & 1:
            right = peaks.pop()
            peaks[-1], bits = node_hash(peaks[-1], right), bits >> 1
    root = peaks.pop() if peaks else hashlib.sha256(b"").digest()
    while peaks:
        root = node_hash(peaks.pop(), root)
    return size, root


# ---- The bundle ----
class Bundle:
    """A folder or .zip; hands out files line by line, so that size does not matter."""

    def __init__(self, path):
        self.path, self.zip = path, None
        if not os.path.isdir(path):
            try:
                self.zip = zipfile.ZipFile(path)
            except (OSError, zipfile.BadZipFile) as error:
                raise Problem(f"{path} is no bundle: {error}") from None

    def lines(self, name):
        """Lines of a file as bytes, without the newline that ends each of them."""
        try:
            file = self.zip.open(name) if self.zip else open(os.path.join(self.path, name), "rb")
        except (OSError, KeyError):
            raise Problem(f"the bundle has no file {name}") from None
        with file:
            for line in file:
                if not line.endswith(b"\n"):
                    raise Problem(f"the last line of {name} is not complete")
                yield line[:-1]

    def positions(self):
        """The positions, each larger than the one before."""
        last = 0
        for line in self.lines("positions"):
            if not re.fullmatch(b"[1-9][0-9]{0,18}", line) or int(line) <= last:
                raise Problem(f"the file positions is not in order after {last}")
            last = int(line)
            yield last


def hashes(texts):
    """Hashes of a proof."""
    if not isinstance(texts, list) or not all(re.fullmatch("[0-9a-f]{64}", str(t)) for t in texts):
        raise Problem("a proof holds something that is no hash")
    return [bytes.fromhex(each) for each in texts]


def check_events(bundle, size, root):
    """Every record of the bundle is in the signed tree; number, first and last position."""
    count = first = last = 0
    for last in bundle.positions():
        count, first = count + 1, first or last
    if not count or last > size:
        raise Problem(f"the positions do not fit a ledger of {size} records")
    records = bundle.lines("events.jsonl")
    if count == size:
        if root_of(records) != (size, root):
            raise Problem("the records are not the ones that were signed: changed, cut or added to")
        return count, first, last
    for row in zip_longest(bundle.positions(), records, bundle.lines("proofs.jsonl")):
        if None in row:
            raise Problem("events.jsonl, positions and proofs.jsonl are not of one length")
        position, record, proof = row
        path = [leaf_hash(record), *hashes(json.loads(proof))]
        if climb(position - 1, size - 1, path)[1] != root:
            raise Problem(f"the record at position {position} is not the one that was signed")
    return count, first, last


def check_chain(bundle, key, newest):
    """Every earlier checkpoint is signed, and the next one continues it; how many there are."""
    count, before = 0, None
    for line in bundle.lines("chain.jsonl"):
        link = json.loads(line)
        tree = open_checkpoint(link["checkpoint"], key)
        if before is not None:
            check_consistency(before, tree, hashes(link["proof"]))
        count, before = count + 1, tree
    if before != newest:
        raise Problem("the chain of checkpoints does not end with the bundle's own")
    return count


def check(path, key):
    """Check a bundle; what it proves, in plain words. Raises Problem."""
    bundle = Bundle(path)
    try:
        note = b"".join(line + b"\n" for line in bundle.lines("checkpoint")).decode()
        size, root = open_checkpoint(note, key)
        number, first, last = check_events(bundle, size, root)
        links = check_chain(bundle, key, (size, root))
    except (ValueError, KeyError, TypeError, RecursionError, zipfile.BadZipFile) as error:
        raise Problem(f"a file of the bundle cannot be read: {error}") from None
    words = [
        f"The checkpoint of {size} records is signed by {key[0]}, with the key that you gave.",
        f"{number} records, from position {first} to {last}, are in it, unchanged.",
        f"{links} checkpoints, one after the other, are of one and the same growing history.",
    ]
    if number == size:
        words.append("These are all records up to the checkpoint: none is left out.")
    else:
        words.append(
            f"{size - number} other records are not in this bundle. It proves what it contains, "
            "not that nothing that matters was left out."
        )
    return words


def main(arguments):
    """Print the verdict; the exit code."""
    usage = "usage: python3 -I -S verify_evidence.py PUBLIC_KEY [BUNDLE]"
    try:
        key = parse_key(arguments[0]) if len(arguments) in (1, 2) else None
    except Problem as problem:
        key, usage = None, f"{problem}\n{usage}"
    if key is None:
        sys.stderr.write(f"{usage}\n")
        return USAGE
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        words = check(arguments[1] if len(arguments) == 2 else here, key)
    except Problem as problem:
        sys.stdout.write(f"BAD: {problem}.\nDo not rely on this bundle.\n")
        return BAD
    sys.stdout.write("\n".join([*words, "GOOD: the bundle is what the ledger signed.\n"]))
    return GOOD


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
