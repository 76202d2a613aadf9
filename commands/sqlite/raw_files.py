"""Database files as plain files, touched only in a process of its own."""

from __future__ import annotations

from pathlib import Path

from commands.sqlite import raw_copy_process
from commands.sqlite.errors import FileAccessFailed, shown
from commands.sqlite.programs import program

SQLITE_BEGINNING = b"SQLite format 3\0"
WRITE_VERSION = 18
"""Where in the header the write version stands; the read version follows it."""
KNOWN_VERSIONS = (1, 2)
"""Rollback journal, WAL."""


def hash_raw(path: Path) -> str:
    """SHA-256 of a file that may be a live database, in hex.

    Raises:
        FileAccessFailed: it cannot be read.
    """
    return _run("hash", path)[0]


def copy_raw(source: Path, destination: Path) -> tuple[str, int]:
    """Copy a file that may be a live database to a new one, 0600 and durable; SHA-256 and bytes.

    Raises:
        FileAccessFailed: it cannot be read, or the destination exists.
    """
    return _run("copy", source, destination)


def can_be_written(path: Path) -> bool:
    """Whether a file begins as a SQLite database that SQLite would write; asked without SQLite.

    SQLite itself would roll back or remove the sidecars that it finds beside the file. A file
    whose header has an unknown write version can be read, and never written.
    See https://www.sqlite.org/fileformat2.html#the_database_header.

    Raises:
        FileAccessFailed: it cannot be read.
    """
    begun = beginning_of(path)
    versions = begun[WRITE_VERSION : WRITE_VERSION + 2]
    return begun.startswith(SQLITE_BEGINNING) and all(each in KNOWN_VERSIONS for each in versions)


def beginning_of(path: Path) -> bytes:
    """The first 4 KiB of a file that SQLite may have open.

    Raises:
        FileAccessFailed: it cannot be read.
    """
    return _bytes_of(*_run("begin", path))


def end_of(path: Path) -> bytes:
    """The last bytes of a file that SQLite may have open; none where it is gone.

    Raises:
        FileAccessFailed: it cannot be read.
    """
    return _bytes_of(*_run("end", path))


def _bytes_of(digits: str, size: int) -> bytes:
    return bytes.fromhex(digits) if size else b""


def _run(action: str, *paths: Path) -> tuple[str, int]:
    with program("-S", raw_copy_process.__file__, action, *paths, is_silent=True) as output:
        word, _, answer = output.read().decode("utf-8", "replace").strip().partition(" ")
    if word != "done":
        reason = answer or "it ended without a word"
        raise FileAccessFailed(f"{shown(paths[0])} cannot be read or copied: {reason}")
    digest, size = answer.split()
    return digest, int(size)
