"""How this project opens SQLite files.

SQLite's locks belong to the process: closing ANY descriptor of a database file drops every
lock that the process holds on it. So a database that somebody may be using is opened through
`open_live` and never as a plain file; `os.stat` is all that is allowed besides.
"""

import os
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from commands.sqlite.cipher.keys import Keys
from commands.sqlite.encryption import connect_with_key, looks_encrypted
from commands.sqlite.errors import (
    FileAccessFailed,
    NotADatabase,
    SourceMissing,
    SQLiteFileError,
    shown,
    translated,
)
from commands.sqlite.foreign_locks import require_no_foreign_locks
from commands.sqlite.raw_copy_process import BEGINNING_BYTES
from commands.sqlite.raw_files import beginning_of
from ledger.sqlite_driver import Connection

_IMMUTABLE = "mode=ro&immutable=1"
SIDECAR_SUFFIXES = ("-wal", "-shm", "-journal")


def sidecar(path: Path, suffix: str) -> Path:
    """The path of the file that SQLite keeps beside the database, as `-wal`."""
    return path.with_name(path.name + suffix)


def database_uri(path: Path, options: str) -> str:
    """A `file:` address for `path`, right for any name, also one that is not UTF-8.

    `options` is the query, as `mode=rw`. See https://www.sqlite.org/uri.html.
    """
    return f"file://{quote(os.fsencode(os.path.abspath(path)))}?{options}"


def require_database_file(path: Path) -> os.stat_result:
    """Look at `path` without opening it: it must be a regular file with something in it.

    Raises:
        SourceMissing: nothing is there.
        NotADatabase: an empty file, a directory, a pipe.
        FileAccessFailed: the folder cannot be entered.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise SourceMissing(missing_database(path)) from None
    except OSError as error:
        raise FileAccessFailed(f"{shown(path)} cannot be reached: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise NotADatabase(f"{shown(path)} is not a regular file; a database is one")
    if found.st_size == 0:
        raise NotADatabase(f"{shown(path)} is empty, not a database; check the path")
    return found


def missing_database(path: Path) -> str:
    """What to say of a database that is not there, or whose folder is not."""
    if path.parent.is_dir():
        return f"there is no database at {shown(path)}; check the path"
    return f"there is no database at {shown(path)}, nor its folder; check the path, and its mount"


def open_immutable(path: Path, keys: Keys | None = None) -> sqlite3.Connection:
    """Open a finished file of ours for reading: no locks, no sidecars, nothing changes.

    Only for files that nobody writes any more. May be used from any one thread at a time. `keys`:
    for one that is encrypted; without them it is opened as it is.

    Raises:
        KeyMissing, WrongDatabaseKey, DamagedDatabase: it is encrypted, and was not opened.
        SQLiteFileError: as `require_database_file`, or it cannot be opened.
    """
    require_database_file(path)
    if keys is not None and is_encrypted_backup(path):
        return _open_with_key(path, _IMMUTABLE, 0.0, keys)
    return _connect(path, _IMMUTABLE, 0.0)


def open_live(
    path: Path,
    wait_seconds: float,
    mode: Literal["rw", "ro"] = "rw",
    keys: Keys | None = None,
) -> sqlite3.Connection:
    """Open a database that others may be using; never creates it.

    `rw` so that SQLite can roll back what a crashed writer left; it turns into read-only by
    itself where the file's permissions say so. Transactions are begun by hand. `keys`: as for
    `open_immutable`.

    Raises:
        KeyMissing, WrongDatabaseKey, DamagedDatabase: it is encrypted, and was not opened.
        LockedByDotfile: its application locks in a way that SQLite here does not see.
        SQLiteFileError: it cannot be opened.
    """
    require_no_foreign_locks(path)
    if keys is not None and is_encrypted(path):
        return _open_with_key(path, f"mode={mode}", wait_seconds, keys)
    return _connect(path, f"mode={mode}", wait_seconds)


def pragma(connection: sqlite3.Connection, name: str) -> str:
    """What a PRAGMA of the main database answers, as text.

    Raises:
        sqlite3.Error: as SQLite says it.
    """
    return str(connection.execute(f"PRAGMA main.{name}").fetchone()[0])


def quoted(name: str) -> str:
    """A name for use in SQL."""
    return '"' + name.replace('"', '""') + '"'


def is_encrypted(path: Path) -> bool:
    """Whether a database looks as one that SQLCipher encrypted; it may be in use.

    SQLCipher brings a SQLite of its own: closing a descriptor of the other SQLite would drop the
    locks that an application in this process holds through it. So where it is loaded, another
    process looks. Only a regular file is looked at: opening a pipe would wait forever.
    """
    if not path.is_file():
        return False
    try:
        if "sqlcipher3" in sys.modules:
            begun = beginning_of(path)
            return looks_encrypted(begun, path.stat().st_size)
        with closing(_connect(path, _IMMUTABLE, 0.0)) as connection:
            connection.execute("PRAGMA main.schema_version").fetchone()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_NOTADB:
            return looks_encrypted(beginning_of(path), path.stat().st_size)
    except (SQLiteFileError, OSError):
        return False
    return False


def is_encrypted_backup(path: Path) -> bool:
    """Whether a file that nobody writes looks encrypted; it is opened as a plain file."""
    try:
        with path.open("rb") as file:
            return looks_encrypted(file.read(BEGINNING_BYTES), path.stat().st_size)
    except OSError:
        return False  # opening it says why


def _open_with_key(path: Path, options: str, wait_seconds: float, keys: Keys) -> sqlite3.Connection:
    uris = (database_uri(path, options), database_uri(path, _IMMUTABLE))
    return connect_with_key(path, uris, wait_seconds, keys)


def _connect(path: Path, options: str, wait_seconds: float) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            database_uri(path, options),
            uri=True,
            timeout=wait_seconds,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )
    except sqlite3.Error as error:
        raise translated(error, path) from error
