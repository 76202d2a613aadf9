"""Where things are in a repository, and the files that say what it is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from commands.offsite.errors import RepositoryDamaged
from ledger.canonical_json import canonical_bytes, parse_json
from ledger.clock import format_instant
from ledger.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT = 1
REPOSITORY, README, READER = "repository.json", "README.txt", "restore.py"
PACKS, COPIES, LEDGER, PROBE = "packs/", "copies/", "ledger/", "probe/"
PACK_LIST_SUFFIX = ".packs"
_HEX = re.compile(r"[0-9a-f]{64}")
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
OURS = re.compile(
    rf"(packs/([0-9a-f]{{2}})/\2[0-9a-f]{{62}}|copies/{_UUID}(\.packs)?|ledger/.+|probe/{_UUID}"
    rf"|{re.escape(REPOSITORY)}|{re.escape(README)}|{re.escape(READER)})"
)
"""Names that this format has; others are reported and never touched."""

README_TEXT = """\
This folder holds copies of database backups, made by Backup Ledger.

To get a database back you need the identity file (AGE-SECRET-KEY-1...), Python 3, and two
programs that every Linux distribution has: age and zstd. Then, beside this file:

    python3 restore.py --list --identity KEY.txt
    python3 restore.py COPY_ID --identity KEY.txt --out restored.db

Before you run restore.py beside an identity, compare `sha256sum restore.py` with the number on
the emergency sheet that `backup-ledger offsite add` printed: anybody who can write here could
have changed it.

With Backup Ledger itself:

    backup-ledger offsite recover URL --identity KEY.txt --into FOLDER

What is what:

    packs/<hh>/<64 hex>       pages of databases: zstd frames in an age file. The name is the
                              SHA-256 of the bytes, so `sha256sum` checks it without a key
    copies/<copy_id>          a manifest: which pages, in which packs, make one database
    copies/<copy_id>.packs    which packs the copy needs: 32 bytes of name, 8 bytes of size each
    ledger/                   the record of all that was done, as C2SP tlog-tiles

A copy whose destination does not share packs is also, with the packs in the order in which the
manifest names them:

    for p in PACKS; do age -d -i KEY.txt "packs/$(echo $p | cut -c1-2)/$p"; done | zstd -d > out.db

Nothing here may be expired, archived or rewritten by a rule of the storage: every file is needed
until Backup Ledger deletes it.
"""


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    """What `repository.json` says. `recipients`: fingerprints, which tell nobody the keys."""

    ledger_id: str
    repository_id: str
    created_at: str
    salt: str
    recipients: tuple[str, ...]

    def to_bytes(self) -> bytes:
        return canonical_bytes(
            {
                "created_at": self.created_at,
                "format": FORMAT,
                "ledger_id": self.ledger_id,
                "recipients": list(self.recipients),
                "repository_id": self.repository_id,
                "salt": self.salt,
            }
        )


def new_repository(ledger_id: str, recipients: Iterable[str], now: datetime) -> RepositoryFile:
    salt = os.urandom(16).hex()
    return RepositoryFile(
        ledger_id,
        str(uuid4()),
        format_instant(now),
        salt,
        tuple(sorted(fingerprint(salt, recipient) for recipient in recipients)),
    )


def fingerprint(salt: str, recipient: str) -> str:
    """Names a recipient to who has its public key, and to nobody else."""
    return sha256(bytes.fromhex(salt) + recipient.encode()).hexdigest()


def parse_repository(data: bytes, where: str) -> RepositoryFile:
    """Read `repository.json`.

    Raises:
        RepositoryDamaged: it is something else, or of a newer format.
    """
    try:
        fields: Any = parse_json(data)
        if fields["format"] != FORMAT:
            raise RepositoryDamaged(
                f"{where} has a repository of format {fields['format']}, and this software knows "
                f"format {FORMAT}; update backup-ledger"
            )
        return RepositoryFile(
            str(fields["ledger_id"]),
            str(fields["repository_id"]),
            str(fields["created_at"]),
            str(fields["salt"]),
            tuple(fields["recipients"]),
        )
    except (RecordError, KeyError, TypeError) as error:
        raise RepositoryDamaged(
            f"{REPOSITORY} at {where} is not one of this format; is it the right place?"
        ) from error


def pack_path(name: bytes) -> str:
    text = name.hex()
    return f"{PACKS}{text[:2]}/{text}"


def pack_of(path: str) -> bytes | None:
    """The name of the pack that is at a path; None where no pack can be there."""
    parts = path.split("/")
    if len(parts) != 3 or f"{parts[0]}/" != PACKS:  # noqa: PLR2004  (packs, hh, name)
        return None
    name = parts[2]
    return bytes.fromhex(name) if _HEX.fullmatch(name) and name[:2] == parts[1] else None


def manifest_path(copy_id: str) -> str:
    return COPIES + copy_id


def pack_list_path(copy_id: str) -> str:
    return COPIES + copy_id + PACK_LIST_SUFFIX


@cache
def reader_bytes() -> bytes:
    """The stand-alone reader, as it is put into every repository."""
    return (files("commands.offsite.repository") / READER).read_bytes()
