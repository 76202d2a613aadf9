"""What can go wrong with a SQLite file, as errors that say what to do about it."""

import os
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path


class SQLiteFileError(Exception):
    """Base of every error of the layer that reads and writes SQLite files."""


class SourceMissing(SQLiteFileError, FileNotFoundError):
    """There is no file at the path."""


class FolderMissing(SQLiteFileError, OSError):
    """The folder that a file should be in is gone, as an unmounted file system is."""


class NotADatabase(SQLiteFileError, OSError):
    """The file is empty, a directory, or of another format."""


class NoTables(SQLiteFileError, OSError):
    """A database without any table of the application's."""


class DatabaseBusy(SQLiteFileError, OSError):
    """Another connection kept its lock for longer than we were told to wait."""


class LockedByDotfile(DatabaseBusy):
    """The application locks with `<database>.lock`, which SQLite's usual locks do not see."""


class NotEnoughSpace(SQLiteFileError, OSError):
    """The file system has no room for what was to be written."""


class KeyMissing(SQLiteFileError, OSError):
    """The database is encrypted, and no key can be had."""


class WrongDatabaseKey(SQLiteFileError, OSError):
    """The database is encrypted, and none of the keys opens it."""


class PageSizeDiffers(SQLiteFileError, OSError):
    """A database in WAL mode cannot take over content of another page size."""


class FileInTheWay(SQLiteFileError, FileExistsError):
    """A file stands where a new one was to be made; it was left alone."""


class FileAccessFailed(SQLiteFileError, OSError):
    """Permission, input/output and the like."""


class DamagedDatabase(SQLiteFileError, OSError):
    """SQLite finds the file damaged; `problems` are the first few findings."""

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        """Keep the findings beside the one-line message."""
        super().__init__(message)
        self.problems = tuple(problems)


def shown(text: object) -> str:
    """A path or message as one printable line (names may hold line breaks or foreign bytes)."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))


def damaged(path: Path, problems: Sequence[str]) -> DamagedDatabase:
    """The error for a database in which SQLite found `problems` (at least one)."""
    return DamagedDatabase(
        f"{shown(path)} is damaged: {shown(problems[0].strip())}; "
        "restore a good backup or repair it with SQLite's .recover",
        problems,
    )


def translated(error: sqlite3.Error, path: Path) -> SQLiteFileError:
    """The error of ours for what SQLite said about `path`, by its primary result code."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    name, said = shown(path), shown(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
        return DatabaseBusy(
            f"{name} is locked by another connection ({said}); try again later. An application "
            "with PRAGMA locking_mode=EXCLUSIVE never lets go: set it to NORMAL there"
        )
    if code == sqlite3.SQLITE_NOTADB:
        return NotADatabase(
            f"{name} is not a SQLite database, or it is encrypted ({said}); check the path"
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return damaged(path, [str(error)])
    if code == sqlite3.SQLITE_FULL or (code in _OF_THE_DISK and _is_full(path)):
        return NotEnoughSpace(
            f"the disk of {name} is full ({said}): no space left while writing; free some and "
            "try again"
        )
    advice = _PERMISSIONS if _is_of_permissions(code, path) else _ADVICE.get(code, "")
    return FileAccessFailed(f"SQLite cannot read or write {name}: {said}{advice}")


_OF_THE_DISK = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
"""What SQLite also says where a sidecar cannot be made on a full disk."""
_FULL_BELOW_BYTES = 64 * 1024
_PERMISSIONS = "; check the permissions of the file and its folder"
_ADVICE = {
    sqlite3.SQLITE_CANTOPEN: "; see that the file and its sidecars are regular files",
    sqlite3.SQLITE_IOERR: "; look at the disk and the system's log",
    sqlite3.SQLITE_NOMEM: "; free some memory and try again",
    sqlite3.SQLITE_ERROR: "; its schema may need something that only its application has",
}
"""By primary result code: what to do about it, where anything can be said."""


def _is_of_permissions(code: int, path: Path) -> bool:
    """SQLite calls everything that it cannot open the same; the system knows why."""
    if code in (sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY):
        return True
    may_use = os.access(path, os.R_OK) and os.access(path.parent, os.R_OK | os.W_OK | os.X_OK)
    return code == sqlite3.SQLITE_CANTOPEN and not may_use


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _FULL_BELOW_BYTES
    except OSError:
        return False
