"""Checkpoints, the signed heads of the tree, and the proof files that rest on them.

Specifications: https://c2sp.org/tlog-checkpoint, https://c2sp.org/tlog-cosignature and
https://c2sp.org/tlog-proof; the envelope is `ledger.tree.signed_note`.

Rules:

- a checkpoint is a signed note whose text has the origin (here always the name of the log's
  key), the size in decimal without leading zeros, the root in base64, perhaps extensions;
- a witness adds a timestamped cosignature under a checkpoint that the log signed: "the biggest
  tree of this log that I have seen so far, and it continues what I saw before";
- a proof file has the line `c2sp.org/tlog-proof@v1`, perhaps `extra <base64>`, `index <decimal>`
  (from 0), the inclusion proof in base64, an empty line, and the checkpoint verbatim.

Worked example (published in the testdata of transparency-dev/tessera): proof of "three", the
third of five records. What follows the first empty line is a checkpoint:

    c2sp.org/tlog-proof@v1
    index 2
    9xWrP6pdBx5uKsS7mU1b9zWUPcw3mdoNCF55gM+5M2o=
    T1X2GdkhUjV3iyufF9b0kVsWFxIU0VI4EpNml2Teci4=
    zMKa4OAqd7D0V4wawXST15z0JiEEkprIBPkfxOesWvA=

    example.com/log/testdata
    5
    gy5gl3aksFyiCO95a/1vLXz88A3dRq+0l9Sxte8ZqZQ=

    — example.com/log/testdata M9e0lmn5eDHyHP10zJObZdFAX2y1V8fdDKBi4IiHbDYf1TCUBwxZOhqwv2QZCqrdda2zTRTrmnwjwscN5RBTEmZUYAs=
"""  # noqa: E501 - a signature line cannot be broken

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from ledger.tree.merkle import EMPTY_ROOT, HASH_BYTES
from ledger.tree.proofs import verify_consistency, verify_inclusion
from ledger.tree.signed_note import (
    Note,
    NoteError,
    SignatureType,
    SignerKey,
    Verified,
    VerifierKey,
    decode_base64,
)

#: Sizes and indexes are signed 64-bit integers in the databases, and in Go's implementation.
MAX_SIZE = 2**63 - 1

_PROOF_HEADER = "c2sp.org/tlog-proof@v1"
# Nineteen digits hold MAX_SIZE; the limit also keeps int() away from gigantic numbers.
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


class CheckpointError(NoteError):
    """A checkpoint or a proof file that is malformed, or that is not of this log."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says about itself: it has `size` leaves and this root.

    Raises:
        CheckpointError: a line would be empty or broken, or a number or hash is out of range.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(not line or "\n" in line for line in (self.origin, *self.extensions)):
            raise CheckpointError("the lines of a checkpoint must not be empty")
        if not 0 <= self.size <= MAX_SIZE:
            raise CheckpointError(f"the size of a checkpoint cannot be {self.size}")
        if len(self.root) != HASH_BYTES:
            raise CheckpointError(f"the root of a checkpoint must be {HASH_BYTES} bytes long")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise CheckpointError("a checkpoint of size 0 must have the root of the empty tree")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Checkpoint from the text of a note. Raises CheckpointError, NoteError for base64."""
        lines = text.removesuffix("\n").split("\n")
        if not text.endswith("\n") or len(lines) < 3:  # noqa: PLR2004 - origin, size, root
            raise CheckpointError("a checkpoint has at least the lines origin, size and root")
        origin, size, root, *extensions = lines
        return cls(origin, parse_decimal(size), decode_base64(root), tuple(extensions))

    def to_text(self) -> str:
        """The text that is signed."""
        lines = (self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    def check_continues(self, older: "Checkpoint", proof: Sequence[bytes]) -> None:
        """Check that this is the same log as `older`, with leaves added or none.

        Whoever signs must do this first, against whatever was signed last: a log that signs two
        histories, or a witness that does, is worth nothing. From size 0 the proof must be empty.

        Raises:
            CheckpointError: another log's, or a proof from size 0.
            ProofError: a smaller tree, another history, or a proof that does not fit.
        """
        if self.origin != older.origin:
            raise CheckpointError(f"checkpoint of {self.origin!r}, not of {older.origin!r}")
        if older.size:
            verify_consistency(older.size, self.size, older.root, self.root, proof)
        elif proof:
            raise CheckpointError("there is no consistency proof from size 0")


class OpenedCheckpoint(NamedTuple):
    """A checkpoint that its log signed, and the witnesses that are known to have cosigned it."""

    checkpoint: Checkpoint
    cosignatures: tuple[Verified, ...]


def sign_checkpoint(checkpoint: Checkpoint, key: SignerKey) -> bytes:
    """The checkpoint as a note signed by its log. See `Checkpoint.check_continues` first.

    Raises:
        CheckpointError: the origin is not the key's name, or it is a witness's key.
    """
    _check_log_key(checkpoint, key.verifier())
    text = checkpoint.to_text()
    return Note(text, (key.sign(text),)).to_bytes()


def open_checkpoint(
    data: bytes, log_key: VerifierKey, witness_keys: Sequence[VerifierKey] = (), quorum: int = 0
) -> OpenedCheckpoint:
    """The checkpoint in a note that must be signed by the log; witnesses may have cosigned it.

    `quorum`: how many of the known witnesses must have. One public key counts once, whatever its
    names.

    Raises:
        NoteError: not a note, no signature by the log, or a wrong one by a known key.
        CheckpointError: not a checkpoint, that of another log, or too few cosignatures.
    """
    if any(key.signature_type is not SignatureType.COSIGNATURE for key in witness_keys):
        raise CheckpointError("the keys of witnesses must be cosignature keys (type 0x04)")
    note = Note.from_bytes(data)
    verified = note.verify([log_key, *witness_keys])
    checkpoint = Checkpoint.from_text(note.text)
    _check_log_key(checkpoint, log_key)
    cosignatures = tuple(each for each in verified if each.key != log_key)
    if len(cosignatures) == len(verified):
        raise CheckpointError(f"the checkpoint is not signed by its log, {log_key.name!r}")
    number = len({each.key.public_key for each in cosignatures})
    if number < quorum:
        raise CheckpointError(
            f"the checkpoint is cosigned by {number} of {len(witness_keys)} known witnesses; "
            f"{quorum} are needed"
        )
    return OpenedCheckpoint(checkpoint, cosignatures)


def cosign_checkpoint(
    data: bytes, log_key: VerifierKey, witness_key: SignerKey, timestamp_seconds: int
) -> bytes:
    """The same note with a witness's cosignature added, at a time in seconds since 1970.

    A witness first calls `Checkpoint.check_continues` on what it cosigned last.

    Raises:
        NoteError: as `open_checkpoint`, or this witness already cosigned, or a bad time.
    """
    open_checkpoint(data, log_key, [witness_key.verifier()])
    note = Note.from_bytes(data)
    cosignature = witness_key.sign(note.text, timestamp_seconds)
    return Note(note.text, (*note.signatures, cosignature)).to_bytes()


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A `.tlog-proof` file: with the record and the log's key it proves inclusion, offline.

    `extra` is not covered by any signature.

    Raises:
        CheckpointError: a number or a hash is out of range, or `extra` is empty.
        NoteError: the checkpoint is not a note.
    """

    index: int
    proof: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index <= MAX_SIZE:
            raise CheckpointError(f"the index of a proof cannot be {self.index}")
        if any(len(each) != HASH_BYTES for each in self.proof):
            raise CheckpointError(f"every hash of a proof must be {HASH_BYTES} bytes long")
        if self.extra == b"":
            raise CheckpointError("a proof file without extra data leaves the line out")
        Checkpoint.from_text(Note.from_bytes(self.checkpoint).text)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Proof from a file's bytes; nothing is verified yet. Raises NoteError."""
        head, _, checkpoint = data.partition(b"\n\n")
        try:
            header, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise CheckpointError("the head of a proof file must be ASCII") from error
        if header != _PROOF_HEADER:
            raise CheckpointError(f"a proof file starts with the line {_PROOF_HEADER}")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise CheckpointError("a proof file must have a line `index <decimal>`")
        index = parse_decimal(lines.pop(0).removeprefix("index "))
        return cls(index, tuple(decode_base64(line) for line in lines), checkpoint, extra)

    def to_bytes(self) -> bytes:
        """The file's bytes."""
        extra = [] if self.extra is None else [f"extra {b64encode(self.extra).decode()}"]
        hashes = (b64encode(each).decode() for each in self.proof)
        lines = [_PROOF_HEADER, *extra, f"index {self.index}", *hashes]
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.checkpoint

    def verify(
        self,
        leaf_hash: bytes,
        log_key: VerifierKey,
        witness_keys: Sequence[VerifierKey] = (),
        quorum: int = 0,
    ) -> OpenedCheckpoint:
        """Check that the leaf stands at `index` in the tree of a checkpoint signed by the log.

        Raises:
            NoteError: as `open_checkpoint`.
            ProofError: the leaf is not there.
        """
        opened = open_checkpoint(self.checkpoint, log_key, witness_keys, quorum)
        tree = opened.checkpoint
        verify_inclusion(leaf_hash, self.index, tree.size, self.proof, tree.root)
        return opened


def parse_decimal(text: str) -> int:
    """A number written in the one way that the formats allow: ASCII digits, no leading zero."""
    if not _DECIMAL.fullmatch(text):
        raise CheckpointError(f"not a decimal number without leading zeros: {text!r}")
    return int(text)


def _check_log_key(checkpoint: Checkpoint, log_key: VerifierKey) -> None:
    if log_key.signature_type is not SignatureType.ED25519:
        raise CheckpointError(f"key {log_key.name!r} is a witness's: a log signs with type 0x01")
    if checkpoint.origin != log_key.name:
        raise CheckpointError(f"checkpoint of {checkpoint.origin!r}, not of {log_key.name!r}")
