"""Two ways to copy a live database while a read transaction holds it still.

Both fill a staged file that exists and is empty; `checkpoint_copy` then makes it one file without
sidecars. Why the copying process is right stands in `copy_process`.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from commands.sqlite import copy_process
from commands.sqlite.cipher.write_ahead_log import fold_log
from commands.sqlite.connections import (
    SIDECAR_SUFFIXES,
    open_live,
    pragma,
    require_database_file,
    sidecar,
)
from commands.sqlite.errors import (
    DatabaseBusy,
    FileAccessFailed,
    NoTables,
    SQLiteFileError,
    shown,
    translated,
)
from commands.sqlite.files import Progress, create_private, file_error, remove_database
from commands.sqlite.inspection import application_tables
from commands.sqlite.programs import ProgramNotStarted, program

BACKUP_STEP_BYTES = 16 * 1024 * 1024  # one progress call each


@dataclass(frozen=True)
class Pace:
    """How gently a database is copied, so that the application is not disturbed.

    `bytes_per_second`: at most, 0 for no limit. `niceness`: 0 to 19, of the copying process and of
    the threads that check (where the system has niceness for threads).
    """

    bytes_per_second: float = 0
    niceness: int = 0


FULL_SPEED = Pace()


LOCKED_ATTEMPTS = 5
"""How often an encrypted database may be opened by its application under our hands."""


class JournalLeft(SQLiteFileError, OSError):
    """An encrypted database whose application crashed in a transaction."""


class CopyFailedError(Exception):
    """The copying process could not do it; SQLite's backup API may."""


@dataclass(frozen=True)
class Source:
    """A live database within an open read transaction."""

    connection: sqlite3.Connection
    path: Path  # without symbolic links: the sidecars stand beside this one
    device: int
    inode: int
    size_bytes: int  # database and write-ahead log
    needed_bytes: int  # for a copy: it may grow by what is in the log, and the log is copied too
    uses_wal: bool
    shape: tuple[int, ...]


@contextmanager
def reading(source: Path, wait_seconds: float) -> Iterator[Source]:
    """Hold a read transaction on a database that others may be using.

    Raises:
        SQLiteFileError: missing, not a database, without tables, busy for `wait_seconds`.
    """
    require_database_file(source)
    path = source.resolve()
    try:
        connection, found = _opened(path, wait_seconds)
        with closing(connection):
            connection.execute("BEGIN")
            # The first read takes the locks, and rolls back what a crashed writer left.
            if not application_tables(connection):
                raise NoTables(f"{shown(source)} has no table of the application; check the path")
            yield _describe(connection, path, found)
    except sqlite3.Error as error:
        raise translated(error, source) from error


def _opened(path: Path, wait_seconds: float) -> tuple[sqlite3.Connection, os.stat_result]:
    """A connection, and the file that it is to: the path may be another one's a moment later."""
    for _attempt in range(LOCKED_ATTEMPTS):
        before = require_database_file(path)
        connection = open_live(path, wait_seconds)
        with suppress(OSError):
            if os.path.samestat(before, path.stat()):
                return connection, before
        connection.close()
    raise DatabaseBusy(f"{shown(path)} was replaced by another file all the time; try again later")


def copy_by_process(
    source: Source,
    staged: Path,
    on_progress: Progress | None,
    pass_fds: Sequence[int] = (),
    pace: Pace = FULL_SPEED,
) -> bool:
    """Copy database and write-ahead log in a process of its own; says whether the log came too.

    `pass_fds` are inherited by it, as a lock that must outlive us.

    Raises:
        CopyFailedError: it could not be started, or did not finish.
        NotEnoughSpace: the file system is full.
    """
    mode = "wal" if source.uses_wal else "none"
    identity = (source.device, source.inode)
    arguments = (source.path, staged.absolute(), mode, *identity, *_paced(pace))
    return _judge(_run(arguments, on_progress, pass_fds), staged)


def copy_encrypted(
    source: Path,
    staged: Path,
    wait_seconds: float,
    on_progress: Progress | None,
    pass_fds: Sequence[int] = (),
    pace: Pace = FULL_SPEED,
) -> None:
    """Copy a live encrypted database, and take its log into the copy; needs no key.

    The copying process holds SQLite's locks by itself. `source` is without symbolic links.

    Raises:
        DatabaseBusy: others kept their locks for `wait_seconds`.
        JournalLeft: a crashed writer's journal is there, which only the key can roll back.
        CopyFailedError: it could not be started, or did not finish.
        SQLiteFileError: the file is gone; the file system is full.
    """
    for _attempt in range(LOCKED_ATTEMPTS):
        found = require_database_file(source)
        identity = (found.st_dev, found.st_ino)
        arguments = (source, staged.absolute(), "locked", *identity, *_paced(pace), wait_seconds)
        answer = _run(arguments, on_progress, pass_fds).strip()
        if answer == "busy":
            raise DatabaseBusy(f"{shown(source)} stayed locked by another connection; try again")
        if answer == "journal":
            raise JournalLeft(
                f"{shown(source)} has the journal of a crashed writer, which only its key can roll "
                "back; open it once with its application, or give key_command or key_file"
            )
        if answer != "again":
            _judge(answer, staged)
            log = sidecar(staged, "-wal")
            if log.exists():
                fold_log(staged, log)
            return
        remove_database(staged)
        os.close(create_private(staged))
    raise DatabaseBusy(f"{shown(source)} was opened and closed all the time; try again later")


def _paced(pace: Pace) -> tuple[float, int]:
    return pace.bytes_per_second, pace.niceness


def _run(arguments: Sequence[object], on_progress: Progress | None, pass_fds: Sequence[int]) -> str:
    """Run the copying process to its end; its last line.

    Raises:
        CopyFailedError: it could not be started.
    """
    texts = map(str, arguments)
    try:
        with program(
            "-S", copy_process.__file__, *texts, pass_fds=pass_fds, is_silent=True
        ) as lines:
            return _follow(lines, on_progress)
    except ProgramNotStarted as error:
        raise CopyFailedError(f"it did not start: {error.strerror}") from error


def require_same_shape(source: Source, shape: tuple[int, ...]) -> None:
    """A copy without the log must be exactly what the read transaction sees.

    SQLite's locks see to that; a file system that does not keep them would be noticed here.

    Raises:
        CopyFailedError: it is not.
    """
    if shape != source.shape:
        raise CopyFailedError("the write-ahead log restarted under a read transaction")


def copy_by_backup_api(
    source: Source, staged: Path, on_progress: Progress | None, pace: Pace = FULL_SPEED
) -> None:
    """Copy with SQLite's backup API, page by page, under the read transaction.

    The transaction is open before the first step, so writers cannot make it begin again.

    Raises:
        sqlite3.Error: as SQLite says it.
    """
    page_bytes = int(pragma(source.connection, "page_size"))
    brake = copy_process.RateLimiter(pace.bytes_per_second)
    step_bytes = min(BACKUP_STEP_BYTES, brake.chunk_bytes)

    def tell(_status: int, remaining: int, total: int) -> None:
        brake.wait((total - remaining) * page_bytes)
        if on_progress is not None:
            on_progress("copy", (total - remaining) * page_bytes, total * page_bytes)

    with closing(open_live(staged, 0.0)) as target:
        # Nobody else sees the file and a failure removes it: no journal, no flushing.
        target.execute("PRAGMA journal_mode=OFF")
        target.execute("PRAGMA synchronous=OFF")
        source.connection.backup(target, pages=max(1, step_bytes // page_bytes), progress=tell)


def checkpoint_copy(staged: Path) -> tuple[int, ...]:
    """Take the copied log into the staged file and leave one file in rollback mode.

    Returns its shape, as `Source.shape`. The caller flushes it.

    Raises:
        sqlite3.Error: as SQLite says it.
        FileAccessFailed: SQLite left a sidecar.
    """
    with closing(open_live(staged, 0.0)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # so that it needs no -shm file
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        shape = _shape(connection)
    left = [suffix for suffix in SIDECAR_SUFFIXES if sidecar(staged, suffix).exists()]
    if mode != "delete" or left:
        raise FileAccessFailed(f"SQLite kept {shown(staged)} in mode {mode} with {left}; try again")
    return shape


def _describe(connection: sqlite3.Connection, path: Path, found: os.stat_result) -> Source:
    mode = pragma(connection, "journal_mode")
    log = sidecar(path, "-wal")
    log_bytes = log.stat().st_size if mode == "wal" and log.exists() else 0
    shape = _shape(connection)
    content_bytes = shape[0] * int(pragma(connection, "page_size"))
    return Source(
        connection=connection,
        path=path,
        device=found.st_dev,
        inode=found.st_ino,
        size_bytes=found.st_size + log_bytes,
        needed_bytes=max(found.st_size, content_bytes) + log_bytes,
        uses_wal=mode == "wal",
        shape=shape,
    )


def _shape(connection: sqlite3.Connection) -> tuple[int, ...]:
    """Cheap numbers that differ when a file is not the copy of one state of the other."""
    return tuple(
        int(pragma(connection, name)) for name in ("page_count", "freelist_count", "schema_version")
    )


def _follow(lines: Iterable[bytes], on_progress: Progress | None) -> str:
    """Pass on the progress; returns the last line, empty when there was none."""
    for line in lines:
        word, _, rest = line.decode("utf-8", "replace").rstrip("\n").partition(" ")
        if word != "progress":
            return f"{word} {rest}"
        if on_progress is not None:
            done, total = rest.split()
            on_progress("copy", int(done), int(total))
    return ""


def _judge(answer: str, staged: Path) -> bool:
    word, _, rest = answer.partition(" ")
    if word == "done":
        return rest == "whole"
    number, _, text = rest.partition(" ")
    if word == "error" and number.isdigit():
        error = file_error(OSError(int(number), text or os.strerror(int(number))), staged)
        if not isinstance(error, FileAccessFailed):
            raise error
    raise CopyFailedError(text or "it ended without a word")
