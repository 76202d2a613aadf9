"""Signed notes: a text, and who signed it.

Specifications: https://c2sp.org/signed-note (Ed25519, type 0x01) and, for the timestamped
signatures of witnesses (type 0x04), https://c2sp.org/tlog-cosignature. Go's signer keys:
https://pkg.go.dev/golang.org/x/mod/sumdb/note.

Rules:

- a note is UTF-8 without control characters below U+0020 but newline: a text that ends in a
  newline, an empty line, and one signature line or more (here at most 100). Only the last empty
  line separates, so the text may hold empty lines;
- a signature line is em dash, space, key name, space, base64(key id + signature), newline;
- a key name is not empty and has no spaces and no plus;
- key id = SHA-256(name + 0x0A + type + public key)[:4]. Name and id together find the key:
  signatures by unknown keys are kept and ignored, one by a known key that fails rejects the note;
- a verifier key is `name+hex(id)+base64(type + public key)`, a signer key
  `PRIVATE+KEY+name+hex(id)+base64(type + seed)`;
- a timestamped signature is an 8-byte big-endian time (seconds since 1970) and then the Ed25519
  signature over `cosignature/v1`, newline, `time <decimal>`, newline, and the text.

A witness may keep its private key in the signer form too, with type 0x04 (our own use of it).
Stricter than the specification, so that one thing has one spelling: the hex is lower case, the
base64 canonical (unused bits zero), and no (name, key id) signs twice.

Worked example (published with the specification), verifier key
`example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k`:

    This is an example message.

    — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=

where `Uw2QOg==` are the bytes 530d903a, the key id.
"""  # noqa: E501 - a signature line cannot be broken

import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import LedgerError

#: The specification asks for a limit of at least 16; Go's is 100.
MAX_SIGNATURES = 100

_KEY_BYTES = 32
_KEY_ID_BYTES = 4
_SIGNATURE_BYTES = 64
_TIMESTAMP_BYTES = 8
_MAX_TIMESTAMP = 2**63 - 1
_SIGNATURE_PREFIX = "— "
_PRIVATE_PREFIX = "PRIVATE+KEY+"


class NoteError(LedgerError):
    """A key or a note that is malformed, or a signature that is not what it claims to be."""


class SignatureType(IntEnum):
    """The signature types (algorithms) of the specification that are used here."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


class Verified(NamedTuple):
    """A signature that was checked: by which key, and when in seconds since 1970 if it says so."""

    key: "VerifierKey"
    timestamp_seconds: int | None


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line. The payload is whatever follows the key id; its key knows the form.

    Raises:
        NoteError: the name is not a key name, or the lengths are wrong.
    """

    key_name: str
    key_id: bytes
    payload: bytes

    def __post_init__(self) -> None:
        _check_name(self.key_name)
        if len(self.key_id) != _KEY_ID_BYTES or not self.payload:
            raise NoteError(f"signature of {self.key_name!r} is too short")

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Signature from its line (without the newline). Raises NoteError."""
        name, space, encoded = line.removeprefix(_SIGNATURE_PREFIX).partition(" ")
        if not line.startswith(_SIGNATURE_PREFIX) or not space:
            raise NoteError(f"not a signature line: {line!r}")
        data = decode_base64(encoded)
        return cls(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])

    def to_line(self) -> str:
        """The signature's line, without the newline."""
        encoded = b64encode(self.key_id + self.payload).decode()
        return f"{_SIGNATURE_PREFIX}{self.key_name} {encoded}"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key: who it is, and how signatures by it are checked.

    Raises:
        NoteError: the name is not a key name, or the key is not 32 bytes long.
    """

    name: str
    public_key: bytes
    signature_type: SignatureType = SignatureType.ED25519

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public_key) != _KEY_BYTES:
            raise NoteError(f"public key of {self.name!r} is not {_KEY_BYTES} bytes long")

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that together with the name identify the key."""
        material = bytes([self.signature_type]) + self.public_key
        return sha256(self.name.encode() + b"\n" + material).digest()[:_KEY_ID_BYTES]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Key from `name+hash+base64`. Raises NoteError on anything else, white space too."""
        name, key_hash, signature_type, public_key = _parse_key(text)
        key = cls(name, public_key, signature_type)
        _check_key_hash(key, key_hash)
        return key

    def to_text(self) -> str:
        """The key as `name+hash+base64`."""
        material = bytes([self.signature_type]) + self.public_key
        return f"{self.name}+{self.key_id.hex()}+{b64encode(material).decode()}"

    def verify(self, text: str, signature: Signature) -> Verified:
        """Check that this key signed the text.

        Raises:
            NoteError: it did not, or the signature is not of this key's type.
        """
        stamp, signed, timestamp_seconds = b"", signature.payload, None
        if self.signature_type is SignatureType.COSIGNATURE:
            stamp, signed = signed[:_TIMESTAMP_BYTES], signed[_TIMESTAMP_BYTES:]
            timestamp_seconds = int.from_bytes(stamp, "big")
        if len(signed) != _SIGNATURE_BYTES:
            raise NoteError(f"signature of {self.name!r} has the wrong length")
        message = _message(text, timestamp_seconds)
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signed, message)
        except (InvalidSignature, ValueError) as error:
            raise NoteError(f"signature of {self.name!r} does not fit the text") from error
        return Verified(self, timestamp_seconds)


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A private key. Its text form is asked for by name, so that no log message holds it.

    Raises:
        NoteError: the name is not a key name, or the seed is not 32 bytes long.
    """

    name: str
    seed: bytes = field(repr=False)
    signature_type: SignatureType = SignatureType.ED25519

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.seed) != _KEY_BYTES:
            raise NoteError(f"seed of {self.name!r} is not {_KEY_BYTES} bytes long")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Key from `PRIVATE+KEY+name+hash+base64`. Raises NoteError on anything else."""
        if not text.startswith(_PRIVATE_PREFIX):
            raise NoteError(f"a private key starts with {_PRIVATE_PREFIX}")
        name, key_hash, signature_type, seed = _parse_key(text.removeprefix(_PRIVATE_PREFIX))
        key = cls(name, seed, signature_type)
        _check_key_hash(key.verifier(), key_hash)
        return key

    def to_text(self) -> str:
        """The key as `PRIVATE+KEY+name+hash+base64`: a secret."""
        material = b64encode(bytes([self.signature_type]) + self.seed).decode()
        return f"{_PRIVATE_PREFIX}{self.name}+{self.verifier().key_id.hex()}+{material}"

    def verifier(self) -> VerifierKey:
        """The public key that checks this key's signatures."""
        public_key = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        return VerifierKey(self.name, public_key.public_bytes_raw(), self.signature_type)

    def sign(self, text: str, timestamp_seconds: int | None = None) -> Signature:
        """Sign a text; a cosignature key needs the time, in seconds since 1970, others none.

        Raises:
            NoteError: a time where there must be none, none where there must be one, or one
                outside 0 to 2^63 - 1.
        """
        timestamped = self.signature_type is SignatureType.COSIGNATURE
        if timestamped is not (timestamp_seconds is not None):
            raise NoteError(f"key {self.name!r}: only a cosignature has, and must have, a time")
        signed = Ed25519PrivateKey.from_private_bytes(self.seed).sign(
            _message(text, timestamp_seconds)
        )
        if timestamp_seconds is not None:
            signed = timestamp_seconds.to_bytes(_TIMESTAMP_BYTES, "big") + signed
        return Signature(self.name, self.verifier().key_id, signed)


@dataclass(frozen=True, slots=True)
class Note:
    """A text with its signatures: well formed, but not to be believed before `verify`.

    Raises:
        NoteError: the text or the row of signatures breaks a rule of the format.
    """

    text: str
    signatures: tuple[Signature, ...]

    def __post_init__(self) -> None:
        if not self.text.endswith("\n"):
            raise NoteError("the text of a note must end with a newline")
        if any(each < " " and each != "\n" for each in self.text):
            raise NoteError("a note must not hold control characters")
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise NoteError(f"a note has 1 to {MAX_SIGNATURES} signatures")
        if len({(each.key_name, each.key_id) for each in self.signatures}) != len(self.signatures):
            raise NoteError("a note must not be signed twice by the same key")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Note from its bytes; no signature is checked yet. Raises NoteError."""
        try:
            content = data.decode()
        except UnicodeDecodeError as error:
            raise NoteError("a note must be UTF-8") from error
        body, separator, lines = content.rpartition("\n\n")
        if not separator or not lines.endswith("\n"):
            raise NoteError("a note must be a text, an empty line and signature lines")
        signature_lines = lines.removesuffix("\n").split("\n")
        return cls(body + "\n", tuple(Signature.from_line(each) for each in signature_lines))

    def to_bytes(self) -> bytes:
        """The note as it is stored and sent."""
        lines = "".join(f"{each.to_line()}\n" for each in self.signatures)
        return _encode(f"{self.text}\n{lines}")

    def verify(self, keys: Iterable[VerifierKey]) -> tuple[Verified, ...]:
        """Check the signatures of known keys; those of others are ignored.

        Returns:
            What was verified, in the order of the note: never empty.

        Raises:
            NoteError: no known key signed, or the signature of a known key is wrong, or two
                different keys share a name and a key id.
        """
        known: dict[tuple[str, bytes], VerifierKey] = {}
        for key in keys:
            if known.setdefault((key.name, key.key_id), key) != key:
                raise NoteError(f"two different keys are {key.name}+{key.key_id.hex()}")
        verified = tuple(
            known[each.key_name, each.key_id].verify(self.text, each)
            for each in self.signatures
            if (each.key_name, each.key_id) in known
        )
        if not verified:
            raise NoteError("the note is not signed by any of the keys given")
        return verified


def generate_key(
    name: str,
    random_seed: bytes | None = None,
    signature_type: SignatureType = SignatureType.ED25519,
) -> SignerKey:
    """A new private key, from 32 random bytes of the operating system unless they are given.

    Raises:
        NoteError: the name is not a key name, or the seed is not 32 bytes long.
    """
    seed = secrets.token_bytes(_KEY_BYTES) if random_seed is None else random_seed
    return SignerKey(name, seed, signature_type)


def decode_base64(text: str) -> bytes:
    """Bytes of a canonical standard base64 text (RFC 4648 section 4). Raises NoteError."""
    try:
        data = b64decode(text, validate=True)
    except ValueError as error:
        raise NoteError(f"not base64: {text!r}") from error
    # Decoders ignore the last unused bits, so several texts would stand for the same bytes.
    if b64encode(data).decode() != text:
        raise NoteError(f"not canonical base64: {text!r}")
    return data


def _message(text: str, timestamp_seconds: int | None) -> bytes:
    """What is signed: the text itself, or for a cosignature the text under a header."""
    if timestamp_seconds is None:
        return _encode(text)
    if not 0 <= timestamp_seconds <= _MAX_TIMESTAMP:
        raise NoteError(f"the time of a cosignature must be 0 to 2^63 - 1, not {timestamp_seconds}")
    return _encode(f"cosignature/v1\ntime {timestamp_seconds}\n{text}")


def _parse_key(text: str) -> tuple[str, str, SignatureType, bytes]:
    """Name, hash, type and the key's bytes from `name+hash+base64`."""
    try:
        # The base64 may hold a plus of its own; names and hashes may not.
        name, key_hash, encoded = text.split("+", 2)
    except ValueError as error:
        raise NoteError("a key must be name+hash+base64") from error
    material = decode_base64(encoded)
    try:
        return name, key_hash, SignatureType(material[0]), material[1:]
    except (IndexError, ValueError) as error:
        raise NoteError(f"key {name!r} is of an unknown algorithm") from error


def _check_key_hash(key: VerifierKey, key_hash: str) -> None:
    if key_hash != key.key_id.hex():
        raise NoteError(f"the hash in key {key.name!r} does not fit the key")


def _check_name(name: str) -> None:
    """Key names have no Unicode spaces and no plus; control characters cannot be in a note."""
    if not name or any(each.isspace() or each < " " or each == "+" for each in name):
        raise NoteError(f"not a key name: {name!r} (no spaces, no plus, not empty)")
    _encode(name)


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise NoteError("a note must be valid Unicode") from error
