"""Whether a finished file of ours holds a sound database, and the one that it was made of."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from commands.sqlite.connections import open_immutable
from commands.sqlite.errors import DamagedDatabase, NotADatabase, SQLiteFileError, shown, translated
from commands.sqlite.files import CHUNK_BYTES, file_error
from commands.sqlite.integrity import integrity_problems
from commands.sqlite.raw_files import KNOWN_VERSIONS, SQLITE_BEGINNING, WRITE_VERSION
from ledger.vocabulary import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from commands.sqlite.cipher.keys import Keys
    from commands.sqlite.files import Progress
    from commands.sqlite.inspection import Inspection
    from ledger.events.catalog import BackupCreated

_OF_THE_MACHINE = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_INTERRUPT,
)
"""Result codes that say nothing about the file's content."""


class BackupUnreadable(SQLiteFileError, OSError):
    """The disk does not give the backup's content back: as bad as a wrong content."""


def content_problem(
    path: Path, known: Collection[str] = (), keys: Keys | None = None
) -> str | None:
    """What SQLite finds wrong with a file that nobody writes; None where all is well.

    `known`: findings that the database had when it was copied, perhaps cut; they are not a problem.
    `keys`: of a file that may be encrypted.

    Raises:
        KeyMissing, WrongDatabaseKey: it is encrypted, and was not opened.
        SQLiteFileError: it could not be looked at, which says nothing about the file.
    """
    try:
        with closing(open_immutable(path, keys)) as connection:
            found = integrity_problems(connection)
            new = [each for each in found if not any(each.startswith(said) for said in known)]
            problems = new or _header_problems(path)
    except (NotADatabase, DamagedDatabase) as error:
        return shown(error)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _OF_THE_MACHINE:
            raise translated(error, path) from error
        return shown(error)
    return "; ".join(shown(each) for each in problems) or None


def _header_problems(path: Path) -> list[str]:
    """An unknown write version: SQLite reads such a file, and would never write to it."""
    try:
        with path.open("rb") as file:
            begun = file.read(WRITE_VERSION + 1)
    except OSError as error:
        raise file_error(error, path) from error
    version = begun[-1]
    if version in KNOWN_VERSIONS or not begun.startswith(SQLITE_BEGINNING):  # encrypted: no header
        return []
    return [f"its header has write version {version}, which SQLite cannot write to"]


def count_problem(kept: BackupCreated, found: Inspection) -> str | None:
    """How tables and rows differ from what was counted at creation; None where they do not.

    A table that could not be counted then, or cannot now, is not compared.
    """
    unchecked = set(kept.unchecked)
    if EVERYTHING in unchecked:
        return None  # no key opened it then
    if found.schema_fingerprint != kept.schema_fingerprint:
        return "its schema is not the one that was recorded"
    if found.table_count != kept.table_count:
        return f"it has {found.table_count} tables, recorded were {kept.table_count}"
    rows = {table.name: table.rows for table in found.tables}
    for table in kept.tables:
        counted = rows.get(table.name)  # None: its name was too long to be kept whole
        uncounted = counted is None or table.name in found.uncounted
        uncounted = uncounted or (table.rows == 0 and table.name in unchecked)
        if not uncounted and counted != table.rows:
            return f"table {table.name} has {counted} rows, recorded were {table.rows}"
    if found.row_count != kept.row_count and not (found.uncounted or unchecked):
        return f"it has {found.row_count} rows, recorded were {kept.row_count}"
    return None


def open_backup(path: Path) -> int:
    """A descriptor for reading a backup's bytes; never through a symbolic link.

    Raises:
        OSError: as the operating system says it.
    """
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


def read_through(source: int, scratch: int | None, on_progress: Progress | None = None) -> str:
    """SHA-256 in hex of an open backup, written to `scratch` on the way.

    Raises:
        BackupUnreadable: the disk has lost some of it.
        OSError: `scratch` cannot be written, or the reading failed in another way.
    """
    digest, done, total = hashlib.sha256(), 0, os.fstat(source).st_size
    step = "checking" if scratch is None else "restoring"
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while count := _read(source, buffer):
        digest.update(buffer[:count])
        written = 0
        while scratch is not None and written < count:
            written += os.write(scratch, buffer[written:count])
        done += count
        if on_progress is not None:
            on_progress(step, done, total)
    return digest.hexdigest()


def _read(source: int, buffer: memoryview) -> int:
    try:
        return os.readv(source, [buffer])
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise BackupUnreadable(f"the disk cannot read it: {error.strerror}") from error
