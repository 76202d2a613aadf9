"""Identities and recipients: made, read, unlocked, proved."""

from __future__ import annotations

import secrets
import stat
from typing import TYPE_CHECKING

import pyrage

from commands.errors import InvalidArgument
from commands.offsite.errors import NoIdentity, WrongKey
from commands.offsite.repository.seal import (
    AGE_BEGINNING,
    ARMOR_BEGINNING,
    Opener,
    Sealer,
    new_identity,
    parse_identity,
    recipient_of,
)
from commands.sqlite.files import read_given, write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from commands.site.site import Site

MAX_IDENTITY_BYTES = 65_536
IDENTITY_BEGINNING = "AGE-SECRET-KEY-1"


def make_identity(path: Path) -> str:
    """Write a new identity to a new file, 0600; the recipient that goes with it.

    Raises:
        SQLiteFileError: the file already exists (never overwritten) or cannot be made.
    """
    identity = new_identity()
    recipient = recipient_of(identity)
    write_private(path, f"# public key: {recipient}\n{identity}\n".encode())
    return recipient


def read_identities(path: Path, ask: Callable[[Path], str] | None = None) -> list[str]:
    """The identities of a file, as `offsite keygen` and age-keygen write it.

    `ask`: for the passphrase of a file that `age -p` encrypted; None where nobody can be asked.

    Raises:
        InvalidArgument: the file cannot be read.
        WrongKey: it holds no identity, or the passphrase is wrong.
    """
    try:
        content = read_given(path, MAX_IDENTITY_BYTES)
    except OSError as error:
        raise InvalidArgument(
            f"the identity file {path} cannot be read: {error.strerror}"
        ) from error
    if content.startswith((AGE_BEGINNING, ARMOR_BEGINNING)):
        content = _unlocked(content, path, ask)
    lines = content.decode("utf-8", "replace").splitlines()
    found = [line.strip() for line in lines if line.strip().startswith(IDENTITY_BEGINNING)]
    if not found:
        raise WrongKey(
            f"{path} holds no identity (AGE-SECRET-KEY-1...); make one: backup-ledger offsite "
            "keygen --out FILE"
        )
    for each in found:
        parse_identity(each)
    return found


def configured_identities(site: Site) -> list[str]:
    """The identities of `offsite_identity`, for drills and for HTTP; none where it is not set.

    Raises:
        InvalidArgument: the file cannot be read, or others may read it.
        WrongKey: it holds no identity, or is locked with a passphrase.
    """
    path = site.configuration.offsite_identity
    if path is None:
        return []
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise InvalidArgument(f"{path} can be read by others; make it private: chmod 600")
    except OSError as error:
        raise InvalidArgument(
            f"offsite_identity {path} cannot be read: {error.strerror}"
        ) from error
    return read_identities(path)


def require_configured_identities(site: Site, clear: bool) -> list[str]:
    """The same, for who can give none; a destination in the clear needs none.

    Raises:
        NoIdentity: it is not set.
    """
    found = configured_identities(site)
    if not found and not clear:
        raise NoIdentity(
            "the copies are encrypted, and no identity is configured here (offsite_identity); use "
            "backup-ledger on a machine that has one, with --identity"
        )
    return found


def prove_by_identities(recipients: Sequence[str], identities: Sequence[str]) -> list[str]:
    """The recipients whose objects one of the identities opens."""
    opener, proved = Opener(identities), []
    for recipient in recipients:
        probe = secrets.token_bytes(16)
        try:
            if identities and opener.open(Sealer([recipient]).seal(probe), "the probe") == probe:
                proved.append(recipient)
        except WrongKey:
            continue
    return proved


def _unlocked(content: bytes, path: Path, ask: Callable[[Path], str] | None) -> bytes:
    if ask is None:
        raise WrongKey(f"{path} is locked with a passphrase, and nobody can be asked for it here")
    try:
        return bytes(pyrage.passphrase.decrypt(content, ask(path)))
    except pyrage.DecryptError as error:
        raise WrongKey(f"{path} was not unlocked: the passphrase is wrong") from error
