"""Keys for checkpoints: made, read, and never overwritten.

A private key is a file of one line, readable by its owner only; a public key is a text that
may be shown to anyone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.errors import InvalidArgument
from commands.sqlite.files import read_given, write_private
from ledger.tree.signed_note import NoteError, SignatureType, SignerKey, VerifierKey, generate_key

if TYPE_CHECKING:
    from pathlib import Path

MAX_KEY_BYTES = 4_096
"""Larger files are not keys, and are not read into memory."""


def make_key(name: str, path: Path) -> VerifierKey:
    """Write a new private key to a new file, 0600; the public key that goes with it.

    Raises:
        InvalidArgument: the name is not a key name.
        SQLiteFileError: the file already exists (never overwritten) or cannot be made.
    """
    try:
        key = generate_key(name)
    except NoteError as error:
        raise InvalidArgument(str(error)) from error
    write_private(path, f"{key.to_text()}\n".encode())
    return key.verifier()


def read_private_key(path: Path) -> SignerKey:
    """The private key in a file; one newline at its end is not part of it.

    Raises:
        InvalidArgument: there is no such file, or it contains something else.
    """
    try:
        text = read_given(path, MAX_KEY_BYTES).decode().removesuffix("\n")
        key = SignerKey.parse(text)
    except OSError as error:
        raise InvalidArgument(f"the key file {path} cannot be read: {error.strerror}") from error
    except (NoteError, UnicodeDecodeError) as error:
        # The message of a parser could show a part of the key.
        raise InvalidArgument(
            f"{path} holds no private key; make one: backup-ledger audit keygen NAME --out FILE"
        ) from error
    if key.signature_type is not SignatureType.ED25519:
        raise InvalidArgument(f"{path} holds the key of a witness; a ledger signs with its own")
    return key


def parse_public_key(text: str) -> VerifierKey:
    """A public key as `audit keygen` prints it: name+hash+base64.

    Raises:
        InvalidArgument: it is none, or that of a witness.
    """
    try:
        key = VerifierKey.parse(text)
    except NoteError as error:
        raise InvalidArgument(f"{text!r} is not a public key: {error}") from error
    if key.signature_type is not SignatureType.ED25519:
        raise InvalidArgument(f"{text!r} is the key of a witness; give the ledger's own")
    return key
