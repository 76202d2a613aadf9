"""Whose a restored database is, who may read it, and how it keeps its journal.

What it replaces says so; where nothing is left of that, a log beside it or the folder does. Set
on descriptors, so that nobody can put another file in between.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from commands.sqlite.cipher.keys import Keys
from commands.sqlite.connections import SIDECAR_SUFFIXES, open_live, pragma, sidecar
from commands.sqlite.errors import FileAccessFailed, SQLiteFileError, shown
from commands.sqlite.files import PRIVATE_MODE

GROUP_MAY_ALL = 0o060
LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Belongings:
    """Owner, group and mode of a database, and whether it keeps a write-ahead log.

    `because`: what says so. `is_wal`: False where nothing says it.
    """

    owner: int
    group: int
    mode: int
    is_wal: bool
    because: Literal["the file it replaces", "the log that was left", "its folder"]


def belongings_of(target: Path, *, is_wal: bool = False) -> Belongings:
    """What a file that takes the place of `target` should have; asked before sidecars go.

    Where there is no file, it is private, and belongs to whom a log that was left belongs, or else
    the folder; the group may read and write it only where it may write that. `is_wal`: it is known.

    Raises:
        OSError: the folder cannot be looked at.
    """
    target = target.resolve()
    logs = [path for suffix in SIDECAR_SUFFIXES if (path := sidecar(target, suffix)).is_file()]
    wal = is_wal or any(path.name.endswith(("-wal", "-shm")) for path in logs)
    if target.is_file():
        former = target.stat()
        mode = stat.S_IMODE(former.st_mode)
        return Belongings(former.st_uid, former.st_gid, mode, wal, "the file it replaces")
    # SQLite gives its logs what the database has.
    witness = logs[0].stat() if logs else target.parent.stat()
    mode = PRIVATE_MODE | (GROUP_MAY_ALL if witness.st_mode & stat.S_IWGRP else 0)
    because = "the log that was left" if logs else "its folder"
    return Belongings(witness.st_uid, witness.st_gid, mode, wal, because)  # type: ignore[arg-type]


def give(path: Path, belongings: Belongings) -> None:
    """Set owner, group and mode of a file of ours, and bring it to the disk.

    Only root gives files away: for anybody else it stays the account's own.

    Raises:
        OSError: it cannot be opened, or its mode cannot be set.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise FileAccessFailed(f"{shown(path)} was replaced: it is a link now")
        try:
            os.fchown(descriptor, belongings.owner, belongings.group)
        except PermissionError:
            with suppress(PermissionError):
                os.fchown(descriptor, -1, belongings.group)
        os.fchmod(descriptor, belongings.mode)  # after it: giving away takes bits
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_wal(database: Path, keys: Keys | None = None) -> bool:
    """Let a restored database keep a write-ahead log again; whether it does.

    It is not part of the restore: a kill before it leaves a good database with a rollback journal.
    """
    try:
        with closing(open_live(database, LOOK_SECONDS, keys=keys)) as connection:
            return pragma(connection, "journal_mode=WAL") == "wal"
    except (sqlite3.Error, SQLiteFileError):
        return False


def journal_mode(database: Path, keys: Keys | None = None) -> str | None:
    """How a database keeps its journal; None where it cannot be asked now."""
    try:
        with closing(open_live(database, LOOK_SECONDS, "ro", keys)) as connection:
            return pragma(connection, "journal_mode")
    except (sqlite3.Error, SQLiteFileError):
        return None
