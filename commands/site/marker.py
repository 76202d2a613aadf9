"""The marker beside a database: which ledger has its backups, and where.

An empty mount point looks like a folder that nobody used yet. The marker stands on the database's
own file system, so it knows better: while it is there, no second ledger begins by itself.

It is a small JSON file, `.<database>.backup-ledger`, and holds no secret: whichever account acts
on the database must be able to read it (0644).
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from commands.errors import StoreUnknown
from commands.sqlite.errors import SQLiteFileError, shown
from commands.sqlite.files import create_private, flush_directory

MODE = 0o644
MAX_BYTES = 8_192
SUFFIX = ".backup-ledger"


@dataclass(frozen=True, slots=True)
class Marker:
    """`ledger`: the path of its file, or the server's address, without a password."""

    ledger_id: str
    ledger: str


def marker_path(database: Path) -> Path:
    """Beside the file itself, where the database is a symbolic link to it."""
    real = Path(os.path.realpath(database))
    return real.with_name(f".{real.name}{SUFFIX}")


def read_marker(database: Path) -> Marker | None:
    """The marker, or None where there is none.

    Raises:
        StoreUnknown: it cannot be read, or is something else.
    """
    path = marker_path(database)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None  # no marker of such a name was ever written
        raise StoreUnknown(f"{shown(path)} cannot be read: {error.strerror}") from error
    try:
        found = json.loads(os.read(descriptor, MAX_BYTES))
        return Marker(str(found["ledger_id"]), str(found["ledger"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreUnknown(
            f"{shown(path)} is not a marker of backup-ledger; look at it, and remove it if it is "
            "nothing of yours"
        ) from error
    finally:
        os.close(descriptor)


def write_marker(database: Path, marker: Marker) -> None:
    """Write it, whole or not at all.

    Raises:
        OSError: the folder cannot be written, or the name is too long.
    """
    path = marker_path(database)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = create_private(unfinished)
    try:
        try:
            os.write(descriptor, json.dumps(asdict(marker)).encode() + b"\n")
            os.fchmod(descriptor, MODE)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(unfinished, path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise
    flush_directory(path.parent)


def remove_marker(database: Path) -> None:
    """Forget which ledger the database had; fine where nothing says it."""
    with suppress(FileNotFoundError, NotADirectoryError):
        marker_path(database).unlink()


def marker_problem(database: Path, marker: Marker) -> str | None:
    """What is wrong with the marker of a database, for `status`; None where it is right.

    One that is only missing is written by the next command that acts, if it can be.
    """
    path = marker_path(database)
    try:
        found = read_marker(database)
    except StoreUnknown as error:
        return str(error)
    if found is not None and found.ledger_id != marker.ledger_id:
        return (
            f"{shown(path)} names another ledger, at {shown(found.ledger)}; if that one is not "
            "used any more, remove the file"
        )
    if found is None and not os.access(path.parent, os.W_OK | os.X_OK):
        return (
            f"{shown(path)} cannot be written, so an unmounted backups folder would look like a "
            "new beginning; let this account write in that folder"
        )
    return None


def keep_marker(database: Path, marker: Marker) -> None:
    """Write the marker where there is none, or where the ledger moved; else leave it alone."""
    if not database.exists():
        return
    with suppress(StoreUnknown, SQLiteFileError, OSError):  # `status` says so
        found = read_marker(database)
        if found is None or (found.ledger_id == marker.ledger_id and found != marker):
            write_marker(database, marker)
