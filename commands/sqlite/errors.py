"""What can go wrong with a SQLite file, as errors that say what to do about it."""

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


class NotEnoughSpace(SQLiteFileError, OSError):
    """The file system has no room for what was to be written."""


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
    name = shown(path)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
        return DatabaseBusy(f"{name} is locked by another connection; try again later")
    if code == sqlite3.SQLITE_NOTADB:
        return NotADatabase(f"{name} is not a SQLite database; check the path")
    if code == sqlite3.SQLITE_CORRUPT:
        return damaged(path, [str(error)])
    if code == sqlite3.SQLITE_FULL:
        return NotEnoughSpace(f"no space left while writing {name}; free some and try again")
    return FileAccessFailed(
        f"SQLite cannot read or write {name}: {shown(error)}; "
        "check the permissions of the file and its folder"
    )
