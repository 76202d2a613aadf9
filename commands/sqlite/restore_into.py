"""Restore into a live database: one transaction through SQLite's backup API.

Connections of other processes see the old content or the new, never half; a kill leaves the old.
For the rest (missing, damaged, another page size) see `sqlite_replacement`.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from commands.sqlite.cipher.keys import Keys
from commands.sqlite.connections import open_immutable, open_live, pragma, require_database_file
from commands.sqlite.errors import (
    DamagedDatabase,
    DatabaseBusy,
    NotADatabase,
    PageSizeDiffers,
    SourceMissing,
    shown,
    translated,
)
from commands.sqlite.files import Progress, copy_file
from commands.sqlite.inspection import schema_fingerprint
from commands.sqlite.replacement import (
    clear_sidecars,
    needs_replacement,
    rename_into_place,
    replace_target,
    sole_access,
)

__all__ = [
    "RestoreResult",
    "clear_sidecars",
    "copy_file",
    "needs_replacement",
    "rename_into_place",
    "replace_target",
    "restore_into",
    "schema_version",
    "sole_access",
]

STEP_BYTES = 16 * 1024 * 1024  # one progress call each
LOCK_SLICE_SECONDS = 0.5  # SQLite waits this long at a time, holding new readers back
BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


T = TypeVar("T")


@dataclass(frozen=True)
class RestoreResult:
    """How a restore went; `schema_version` is the target's after it."""

    mode: Literal["transaction"]
    schema_version: int


class _TooLongBusy(Exception):
    """The deadline passed while the target was locked."""


def restore_into(
    target: Path,
    backup: Path,
    *,
    wait_seconds: float = 30.0,
    on_progress: Progress | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    keys: Keys | None = None,
) -> RestoreResult:
    """Put the content of `backup` (a finished file of ours) into the live database `target`.

    Waits for writers, and in rollback-journal mode for readers, at most `wait_seconds` (the last
    try may take half a second longer). The target keeps its journal mode. Tells progress as
    `restore`; an exception from it undoes everything, except from the last call (all
    pages done), which comes when the new content is in. `keys`: of databases that may be encrypted;
    the target keeps its key, whichever the backup has.

    Raises:
        DatabaseBusy: the wait was in vain; the target is untouched.
        PageSizeDiffers: the target is in WAL mode and has pages of another size.
        SQLiteFileError: one of the files is missing, damaged, not to be opened.
    """
    require_database_file(backup)
    target = _existing(target)
    deadline = monotonic() + wait_seconds
    with (
        closing(open_immutable(backup, keys)) as source,
        closing(open_live(target, wait_seconds, keys=keys)) as live,
    ):
        expected = _read(backup, lambda: schema_fingerprint(source))
        mode, before = _read(target, lambda: _prepare(live))
        _require_page_size(target, live, source, mode)
        step = _Step(backup, target, deadline, monotonic, on_progress)
        step.run(source, live)
        after = _read(target, lambda: _look_again(live, target, mode, before, expected))
    return RestoreResult("transaction", after)


def schema_version(path: Path, keys: Keys | None = None) -> int | None:
    """SQLite's schema counter (PRAGMA schema_version); None when missing or not a database.

    A restore adds one to the target's, so it tells old from new after a kill.

    Raises:
        SQLiteFileError: busy, damaged, or not to be opened.
    """
    try:
        require_database_file(path)
        with closing(open_live(path, LOCK_SLICE_SECONDS, keys=keys)) as connection:
            return _read(path, lambda: _version(connection))
    except (SourceMissing, NotADatabase):
        return None


@dataclass(frozen=True)
class _Step:
    """The one transaction, ended by our own deadline (Python's loop has none)."""

    backup: Path
    target: Path
    deadline: float
    monotonic: Callable[[], float]
    on_progress: Progress | None

    def run(self, source: sqlite3.Connection, live: sqlite3.Connection) -> None:
        """Copy all pages; nothing is changed unless this returns.

        Raises:
            SQLiteFileError: see `restore_into`.
        """
        page_bytes = int(pragma(source, "page_size"))
        try:
            source.backup(
                live,
                pages=max(1, STEP_BYTES // page_bytes),
                progress=lambda *seen: self._tell(page_bytes, *seen),
                sleep=0.01,
            )
        except _TooLongBusy:
            raise DatabaseBusy(
                f"{shown(self.target)} stayed locked by another connection; "
                "nothing was changed, try again when it is less busy"
            ) from None
        except sqlite3.Error as error:
            raise translated(error, self.target) from error

    def _tell(self, page_bytes: int, status: int, remaining: int, total: int) -> None:
        if status & 0xFF in BUSY_CODES:
            if self.monotonic() >= self.deadline:
                raise _TooLongBusy
        elif self.on_progress is not None:
            self.on_progress("restore", (total - remaining) * page_bytes, total * page_bytes)


def _existing(target: Path) -> Path:
    if not target.is_file():
        raise SourceMissing(f"there is no database at {shown(target)}; replace_target makes one")
    return target.resolve()


def _prepare(live: sqlite3.Connection) -> tuple[str, int]:
    """Journal mode and schema version; from here on SQLite waits in slices."""
    live.execute("PRAGMA synchronous=FULL")  # the new content survives a power cut
    found = pragma(live, "journal_mode"), _version(live)
    live.execute(f"PRAGMA busy_timeout={int(LOCK_SLICE_SECONDS * 1000)}")
    return found


def _look_again(
    live: sqlite3.Connection, target: Path, mode: str, before: int, expected: str
) -> int:
    """Check what is there now; returns the schema version.

    The new content is in, so a lock that somebody takes now must not look like a failure.
    """
    try:
        if mode == "wal":
            live.execute("PRAGMA journal_mode=WAL")
            # Takes the new content out of the log, if nobody is in the way.
            live.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        live.execute("BEGIN")
        after, found = _version(live), schema_fingerprint(live)
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in BUSY_CODES:
            raise
        return before + 1
    if after == before + 1 and found != expected:  # else somebody has changed it since
        raise DamagedDatabase(
            f"{shown(target)} was restored but has not the schema of the backup; restore it again",
            [f"schema fingerprint {found}, expected {expected}"],
        )
    return after


def _require_page_size(
    target: Path, live: sqlite3.Connection, source: sqlite3.Connection, mode: str
) -> None:
    here, there = pragma(live, "page_size"), pragma(source, "page_size")
    if mode == "wal" and here != there:
        raise PageSizeDiffers(
            f"{shown(target)} has pages of {here} bytes, the backup of {there}, which WAL mode "
            "cannot take over; close every connection and restore by replacement"
        )


def _read(path: Path, question: Callable[[], T]) -> T:
    try:
        return question()
    except sqlite3.Error as error:
        raise translated(error, path) from error


def _version(connection: sqlite3.Connection) -> int:
    return int(pragma(connection, "schema_version"))
