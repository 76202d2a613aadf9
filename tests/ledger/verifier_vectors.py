"""The one list of good and bad inputs that every verifier of this project is held to.

    python -m tests.ledger.verifier_vectors      writes verifier_vectors.json beside this file

Kinds: `checkpoint` (key, note), `proof` (key, record, index, and a .tlog-proof file), and
`consistency` (first, second, proof). The first two may have `witnesses`, of whom `quorum` must
have cosigned. Bytes are base64. The log is the published one of vectors.json.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ledger.tree.merkle import leaf_hash
from ledger.tree.proofs import consistency_proof, inclusion_proof
from ledger.tree.signed_note import Note, SignerKey, generate_key
from tests.ledger.cosigned_vectors import Cosigned, cosigned_notes

KEPT_AT = Path(__file__).with_name("verifier_vectors.json")
PUBLISHED: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text())
LOG = PUBLISHED["log"]
KEY = SignerKey.parse(LOG["skey"])
VKEY: str = LOG["vkey"]
OTHER = generate_key("example.com/other", b"o" * 32)
NAMESAKE = generate_key(KEY.name, b"n" * 32)
RECORDS = [each.encode() for each in LOG["leaves_ascii"]]
ROOT_5: str = next(each["root"] for each in LOG["checkpoints"] if each["size"] == 5)
EMPTY_ROOT: str = LOG["checkpoints"][0]["root"]


class _Leaves:
    """The log's leaves, to make proofs from."""

    def leaf_hashes(self, start: int, stop: int) -> list[bytes]:
        return [leaf_hash(each) for each in RECORDS[start:stop]]

    def nodes(self, wanted: object) -> dict[tuple[int, int], bytes]:
        assert not wanted
        return {}


def text(data: bytes) -> str:
    return b64encode(data).decode()


def signed(lines: str, *keys: SignerKey) -> bytes:
    """A text with good signatures, whatever it says."""
    message = lines.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")
    rows = "".join(f"{key.sign(message).to_line()}\n" for key in keys or (KEY,))
    return f"{message}\n{rows}".encode()


def checkpoint(size: str = "5", root: str = ROOT_5, more: str = "", name: str = KEY.name) -> bytes:
    return signed(f"{name}\n{size}\n{root}\n{more}")


def line_of(note: bytes) -> bytes:
    """The last signature's line, with its newline."""
    return note.splitlines(keepends=True)[-1]


def notes() -> Iterator[tuple[str, bytes, bool]]:
    """Name, checkpoint, and whether it is good under the log's key."""
    good = checkpoint()
    line = line_of(good)
    stranger = OTHER.sign("x").to_line().encode() + b"\n"
    yield "good", good, True
    yield "of no records", checkpoint("0", EMPTY_ROOT), True
    yield "with an extension", checkpoint(more="extension\n"), True
    yield "an unknown key signed too", good + stranger, True
    yield "an unknown key signed first", good.removesuffix(line) + stranger + line, True
    yield "a hundred signatures", good + b"".join(_strangers(99)), True
    yield "more than a hundred signatures", good + b"".join(_strangers(100)), False
    yield "the key signed twice", good + line, False
    yield "an unknown key signed twice", good + stranger * 2, False
    yield "only an unknown key signed", signed(_body(), OTHER), False
    yield "a namesake signed", signed(_body(), NAMESAKE), False
    yield "text after the last signature", good + b"all is well\n", False
    yield "text before the signatures", good.removesuffix(line) + b"hello\n" + line, False
    yield "an empty line at the end", good + b"\n", False
    yield "a note after the note", good + b"\n" + line, False
    yield "no newline at the end", good[:-1], False
    yield "a space at the end", good[:-1] + b" \n", False
    yield "carriage returns", good.replace(b"\n", b"\r\n"), False
    yield "a tab in the text", checkpoint(more="a\tb\n"), False
    yield "a byte order mark", b"\xef\xbb\xbf" + good, False
    yield "not UTF-8", good.replace(b"example", b"ex\xffmple", 1), False
    yield "no signature", good.removesuffix(line), False
    yield "no empty line", good.replace(b"\n\n", b"\n"), False
    yield "nothing", b"", False
    yield "two spaces in a signature", good.replace("— ".encode(), "—  ".encode()), False
    yield "a hyphen for the dash", good.replace("— ".encode(), b"- "), False
    yield "a short signature", _with_payload(line, lambda data: data[:-1]), False
    yield "a long signature", _with_payload(line, lambda data: data + b"\0"), False
    yield "a signature that is only an id", _with_payload(line, lambda data: data[:4]), False
    yield (
        "a flipped bit",
        _with_payload(line, lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        False,
    )
    yield "base64 without padding", good.replace(b"=\n", b"\n"), False
    yield "base64 that ends in other bits", _other_bits(), False
    yield "base64 for addresses", good.replace(b"+", b"-").replace(b"/", b"_"), False
    yield from texts()


def texts() -> Iterator[tuple[str, bytes, bool]]:
    """The same, of what stands above the signatures."""
    good = checkpoint()
    yield "another size", good.replace(b"\n5\n", b"\n6\n", 1), False
    yield "another name of the key", good.replace(b"example", b"Example"), False
    yield "a leading zero", checkpoint("05"), False
    yield "a sign", checkpoint("+5"), False
    yield "a size in other digits", checkpoint("\u0665"), False
    yield "a size beyond 63 bits", checkpoint("9223372036854775808"), False
    yield "a size of twenty digits", checkpoint("10000000000000000000"), False
    yield "no size", checkpoint(""), False
    yield "a short root", checkpoint(root=text(b"x" * 31)), False
    yield "a long root", checkpoint(root=text(b"x" * 33)), False
    yield "a root that is not base64", checkpoint(root="root"), False
    yield "no records, and another root", checkpoint("0"), False
    yield "an empty extension", checkpoint(more="a\n\nb\n"), False
    yield "another origin", checkpoint(name="example.com/other"), False
    yield "no root", signed(f"{KEY.name}\n5\n"), False
    yield "an empty line and no root", signed(f"{KEY.name}\n5\n\n"), False


def proofs() -> Iterator[tuple[str, bytes, int, bytes, bool]]:
    """Name, record, index, file, and whether it is good under the log's key."""
    tail = checkpoint()
    path = [text(each) for each in inclusion_proof(2, 5, _Leaves())]
    record = RECORDS[2]

    def file(
        rows: list[str] = path,
        index: str = "2",
        extra: str = "",
        header: str = "",
        note: bytes = tail,
    ) -> bytes:
        lines = [header or "c2sp.org/tlog-proof@v1", *([extra] if extra else []), f"index {index}"]
        return "".join(f"{each}\n" for each in [*lines, *rows]).encode() + b"\n" + note

    yield "good", record, 2, file(), True
    yield "with extra data", record, 2, file(extra="extra AA=="), True
    one = checkpoint("1", text(leaf_hash(RECORDS[0])))
    yield "the only record", RECORDS[0], 0, file([], "0", note=one), True
    yield "empty extra data", record, 2, file(extra="extra "), False
    yield "extra data that is not base64", record, 2, file(extra="extra ?"), False
    yield "extra data twice", record, 2, file(extra="extra AA==\nextra AA=="), False
    yield "another record", RECORDS[3], 2, file(), False
    yield "another place", record, 3, file(), False
    yield "another index", record, 3, file(index="3"), False
    yield "an index with a zero before it", record, 2, file(index="02"), False
    yield "an index beyond the tree", record, 7, file(index="7"), False
    yield "an index beyond 63 bits", record, 2, file(index="9223372036854775810"), False
    yield "no index", record, 2, file().replace(b"index 2\n", b""), False
    yield "a hash too many", record, 2, file([*path, path[0]]), False
    yield "a hash too few", record, 2, file(path[:-1]), False
    yield "hashes swapped", record, 2, file(path[::-1]), False
    yield "a short hash", record, 2, file([text(b"x" * 31), *path[1:]]), False
    yield "a hash with a space", record, 2, file([f" {path[0]}", *path[1:]]), False
    yield "another header", record, 2, file(header="c2sp.org/tlog-proof@v2"), False
    yield "a byte order mark", record, 2, b"\xef\xbb\xbf" + file(), False
    yield (
        "letters that are not ASCII",
        record,
        2,
        file(header="c2sp.org/tlog-proof@v1\u00e9"),
        False,
    )
    yield "carriage returns", record, 2, file().replace(b"\n", b"\r\n"), False
    yield "no checkpoint", record, 2, file(note=b""), False
    for name, note, is_good in notes():
        if not is_good:
            yield f"checkpoint: {name}", record, 2, file(note=note), False


def keys() -> Iterator[tuple[str, str, bool]]:
    """Name, key, and whether it is good; the checkpoint is the good one."""
    name, key_hash, material = VKEY.split("+", 2)
    yield "good", VKEY, True
    yield "of another log", OTHER.verifier().to_text(), False
    yield "a newline after it", f"{VKEY}\n", False
    yield "a space before it", f" {VKEY}", False
    yield "upper case", f"{name}+{key_hash.upper()}+{material}", False
    yield "another hash", f"{name}+00000000+{material}", False
    yield "no hash", f"{name}+{material}", False
    yield "no padding", VKEY.rstrip("=")[:-1], False
    yield "the private key", LOG["skey"], False
    yield "nothing", "", False
    for each in PUBLISHED["bad_vkeys"]:
        yield f"published: {each['why']}", each["vkey"], False


def consistencies() -> Iterator[dict[str, Any]]:
    """From 5 records to 15, and what is not that."""
    roots = {each["size"]: each["root"] for each in LOG["checkpoints"]}
    proof = [text(each) for each in consistency_proof(5, 15, _Leaves())]
    for name, first, second, path, is_good in (
        ("good", 5, 15, proof, True),
        ("nothing added", 5, 5, [], True),
        ("nothing added, and a proof", 5, 5, proof, False),
        ("backwards", 15, 5, proof, False),
        ("a hash too few", 5, 15, proof[:-1], False),
        ("a hash too many", 5, 15, [*proof, proof[0]], False),
        ("hashes swapped", 5, 15, proof[::-1], False),
        ("no proof", 5, 15, [], False),
    ):
        yield {
            "kind": "consistency",
            "name": name,
            "first": {"size": first, "root": roots[first]},
            "second": {"size": second, "root": roots[second]},
            "proof": path,
            "good": is_good,
        }


def vectors() -> list[dict[str, Any]]:
    """The whole list."""
    found: list[dict[str, Any]] = [
        {"kind": "checkpoint", "name": name, "key": VKEY, "note": text(note), "good": is_good}
        for name, note, is_good in notes()
    ]
    found += [
        {
            "kind": "checkpoint",
            "name": f"key: {name}",
            "key": key,
            "note": text(checkpoint()),
            "good": ok,
        }
        for name, key, ok in keys()
    ]
    for name, record, index, file, is_good in proofs():
        data = {"record": text(record), "index": index, "proof": text(file)}
        found.append({"kind": "proof", "name": name, "key": VKEY, **data, "good": is_good})
    return [*found, *cosigned(), *consistencies()]


def cosigned() -> Iterator[dict[str, Any]]:
    """The same checkpoints alone and at the end of a proof."""
    path = [text(each) for each in inclusion_proof(2, 5, _Leaves())]
    head = "".join(f"{each}\n" for each in ("c2sp.org/tlog-proof@v1", "index 2", *path, ""))
    for each in cosigned_notes(checkpoint(), checkpoint(more="extension\n")):
        shared = _shared(each)
        yield {"kind": "checkpoint", **shared, "note": text(each.note)}
        proof = {"record": text(RECORDS[2]), "index": 2, "proof": text(head.encode() + each.note)}
        yield {"kind": "proof", **shared, **proof}


def _shared(each: Cosigned) -> dict[str, Any]:
    return {
        "name": each.name,
        "key": VKEY,
        "witnesses": each.witnesses,
        "quorum": each.quorum,
        "good": each.is_good,
    }


def _body() -> str:
    return f"{KEY.name}\n5\n{ROOT_5}\n"


def _strangers(number: int) -> Iterator[bytes]:
    for each in range(number):
        yield generate_key(f"stranger{each}", b"s" * 32).sign("x").to_line().encode() + b"\n"


def _with_payload(line: bytes, change: Any) -> bytes:
    dash, name, encoded = line.decode().split(" ")
    again = text(change(b64decode(encoded)))
    return checkpoint().removesuffix(line) + f"{dash} {name} {again}\n".encode()


def _other_bits() -> bytes:
    """The last character before the padding stands for bits that nobody reads."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = letters[letters.index(ROOT_5[-2]) ^ 1]
    return checkpoint(root=f"{ROOT_5[:-2]}{other}=")


if __name__ == "__main__":
    assert Note.from_bytes(checkpoint())
    KEPT_AT.write_text(json.dumps(vectors(), indent=1) + "\n")
