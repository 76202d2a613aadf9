"""A damaged SQLite file that can be made again: it gives way to an empty one, and is kept."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from ledger.sqlite_driver import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAMAGE = ("malformed", "not a database")
"""What SQLite says of a file that it cannot read (SQLITE_CORRUPT, SQLITE_NOTADB)."""

_SIDECARS = ("-wal", "-shm", "-journal")
_LOOK_SECONDS = 2.0


def is_damage(error: DBAPIError) -> bool:
    """Whether a database refused because its file is not what it should be."""
    return isinstance(error.orig, sqlite3.Error) and _is_damage(error.orig)


def set_aside_damaged(path: Path) -> str | None:
    """Rename a file that SQLite cannot read, with its sidecars, and make an empty one.

    Where several processes find the damage, one of them does it: None for the others. Connections
    that are open keep the old file.

    Raises:
        OSError: the folder may not be written.
    """
    with _alone_in(path.parent):
        if not _is_damaged(path):
            return None
        kept = _free_name(path)
        for suffix in ("", *_SIDECARS):
            side = path.with_name(path.name + suffix)
            if os.path.lexists(side):
                side.rename(kept.with_name(kept.name + suffix))
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return str(kept)


def _is_damaged(path: Path) -> bool:
    try:
        with closing(
            sqlite3.connect(path, timeout=_LOOK_SECONDS, factory=Connection)
        ) as connection:
            found = connection.execute("PRAGMA integrity_check(1)").fetchall()
    except sqlite3.Error as error:
        return _is_damage(error)
    return found != [("ok",)]


def _is_damage(error: sqlite3.Error) -> bool:
    return any(each in str(error) for each in DAMAGE)


def _free_name(path: Path) -> Path:
    number = 1
    while os.path.lexists(kept := path.with_name(f"{path.name}.damaged-{number}")):
        number += 1
    return kept


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
