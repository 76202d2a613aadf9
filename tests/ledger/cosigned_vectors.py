"""Checkpoints with cosignatures of witnesses, good and bad, for the one list of vectors."""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.tree.signed_note import Note, SignatureType, SignerKey, VerifierKey, generate_key

TIME_SECONDS = 1_679_315_147


def witness(name: str, seed: bytes) -> SignerKey:
    return generate_key(name, seed, SignatureType.COSIGNATURE)


W1, W2, W3 = (witness(f"witness.example/w{number}", bytes([number]) * 32) for number in (1, 2, 3))
NAMESAKE = witness(W1.name, b"n" * 32)
TWIN = SignerKey("witness.example/twin", W1.seed, SignatureType.COSIGNATURE)


class Cosigned(NamedTuple):
    """Name, note, the witnesses that are known, how many must have cosigned, and the verdict."""

    name: str
    note: bytes
    witnesses: list[str]
    quorum: int
    is_good: bool


def vkeys(*witnesses: SignerKey) -> list[str]:
    return [each.verifier().to_text() for each in witnesses]


def with_lines(note: bytes, *witnesses: SignerKey, seconds: int = TIME_SECONDS) -> bytes:
    text = Note.from_bytes(note).text
    lines = "".join(f"{each.sign(text, seconds).to_line()}\n" for each in witnesses)
    return note + lines.encode()


def cosigned_notes(good: bytes, other: bytes) -> Iterator[Cosigned]:
    """`good`: a checkpoint of the log without witnesses; `other`: another one of the same log."""
    three, both = vkeys(W1, W2, W3), with_lines(good, W1, W2)
    for name, note, quorum, is_good in (
        ("two of three, two needed", both, 2, True),
        ("two of three, one needed", both, 1, True),
        ("two of three, three needed", both, 3, False),
        ("none of three, none needed", good, 0, True),
        ("none of three, one needed", good, 1, False),
        ("at the first second", with_lines(good, W1, seconds=0), 1, True),
        ("at the last second", with_lines(good, W1, seconds=2**63 - 1), 1, True),
        ("after the last second", good + _late(good), 1, False),
        ("before the log's own line", _witness_first(good), 1, True),
        ("one of them twice", both + both.splitlines(keepends=True)[-1], 1, False),
        ("another time than was signed", good + _changed(good, at=11), 1, False),
        ("a flipped bit", good + _changed(good, at=75), 1, False),
        ("a wrong one beyond the quorum", both + _changed(good, at=75, key=W3), 2, False),
        ("a short one", good + _payload(good, lambda data: data[:-1]), 1, False),
        ("a long one", good + _payload(good, lambda data: data + b"\0"), 1, False),
        ("without a time", good + _payload(good, lambda data: data[:4] + data[12:]), 1, False),
        ("of another checkpoint", good + _line(with_lines(other, W1)), 1, False),
        ("a plain signature under the witness's id", good + _plain(good), 1, False),
        ("a namesake's", with_lines(good, NAMESAKE), 1, False),
        ("a namesake's beside the witness's", with_lines(good, NAMESAKE, W1), 1, True),
    ):
        yield Cosigned(f"cosigned: {name}", note, three, quorum, is_good)
    yield Cosigned("cosigned: by nobody who is known", both, vkeys(W3), 1, False)
    twins = with_lines(good, W1, TWIN)
    yield Cosigned("cosigned: one key with two names", twins, vkeys(W1, TWIN), 2, False)
    yield Cosigned("cosigned: a known key twice", both, vkeys(W1, W1), 2, False)
    for name, key in _bad_keys():
        yield Cosigned(f"cosigned: key: {name}", both, [*vkeys(W2), key], 1, False)


def _bad_keys() -> Iterator[tuple[str, str]]:
    name, key_hash, material = vkeys(W1)[0].split("+", 2)
    yield "of a log", VerifierKey(W1.name, W1.verifier().public_key).to_text()
    yield "another hash", f"{name}+00000000+{material}"
    yield "no hash", f"{name}+{material}"
    yield "the private key", W1.to_text()
    yield "a newline after it", f"{name}+{key_hash}+{material}\n"
    yield "nothing", ""


def _line(note: bytes) -> bytes:
    return note.splitlines(keepends=True)[-1]


def _payload(note: bytes, change: Callable[[bytes], bytes], key: SignerKey = W1) -> bytes:
    dash, name, encoded = _line(with_lines(note, key)).decode().split(" ")
    return f"{dash} {name} {b64encode(change(b64decode(encoded))).decode()}\n".encode()


def _changed(note: bytes, at: int, key: SignerKey = W1) -> bytes:
    def flip(data: bytes) -> bytes:
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return _payload(note, flip, key)


def _late(note: bytes) -> bytes:
    """A good signature of a time that is out of range."""
    seconds = 2**63
    text = f"cosignature/v1\ntime {seconds}\n{Note.from_bytes(note).text}"
    signed = Ed25519PrivateKey.from_private_bytes(W1.seed).sign(text.encode())
    data = W1.verifier().key_id + struct.pack(">Q", seconds) + signed
    return f"— {W1.name} {b64encode(data).decode()}\n".encode()


def _plain(note: bytes) -> bytes:
    """The text signed as a log signs, after a time, under the witness's name and id."""
    signed = Ed25519PrivateKey.from_private_bytes(W1.seed).sign(Note.from_bytes(note).text.encode())
    data = W1.verifier().key_id + struct.pack(">Q", TIME_SECONDS) + signed
    return f"— {W1.name} {b64encode(data).decode()}\n".encode()


def _witness_first(note: bytes) -> bytes:
    own = _line(note)
    return note.removesuffix(own) + _line(with_lines(note, W1)) + own
