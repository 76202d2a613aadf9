"""Snapshot of a live SQLite database: a consistent, checked, durable copy in one file.

It is right under writers that commit and checkpoint all the time, and it never opens the source
as a plain file in this process (see `sqlite_connections` for why).
"""

import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from commands.sqlite.cipher.keys import Keys
from commands.sqlite.connections import (
    SIDECAR_SUFFIXES,
    is_encrypted,
    open_immutable,
    open_live,
    sidecar,
)
from commands.sqlite.copy import (
    FULL_SPEED,
    CopyFailedError,
    JournalLeft,
    Pace,
    Source,
    checkpoint_copy,
    copy_by_backup_api,
    copy_by_process,
    copy_encrypted,
    reading,
    require_same_shape,
)
from commands.sqlite.encryption import CIPHER
from commands.sqlite.errors import (
    FileAccessFailed,
    KeyMissing,
    NoTables,
    SQLiteFileError,
    WrongDatabaseKey,
    shown,
    translated,
)
from commands.sqlite.files import (
    Progress,
    create_private,
    file_error,
    flush_directory,
    flush_file,
    leave_page_cache,
    remove_database,
)
from commands.sqlite.foreign_locks import require_no_foreign_locks
from commands.sqlite.inspection import Inspection, TableRows, inspect, sealed, sha256_of
from commands.sqlite.integrity import IntegrityReport, check_integrity
from commands.sqlite.space import RESERVE_BYTES, FreeBytes, free_bytes, require_space
from ledger.vocabulary import EVERYTHING, NOT_CHECKED_ANEW, Engine

MEBIBYTE = 1024 * 1024
Found = TypeVar("Found")


@dataclass(frozen=True)
class KnownContent:
    """What was found in an earlier copy in which nothing was wrong. `where`: which one, in words.

    A copy of the same bytes holds the same, so it is not looked into anew.
    """

    where: str
    size: int
    sha256: str
    schema_fingerprint: str
    row_count: int
    tables: tuple[TableRows, ...]

    def inspection(self) -> Inspection:
        return Inspection(
            schema_fingerprint=self.schema_fingerprint,
            table_count=len(self.tables),
            row_count=self.row_count,
            tables=self.tables,
            schema_version=0,
            page_size=0,
        )


@dataclass(frozen=True)
class SnapshotLimits:
    """What decides how a snapshot is taken: sizes in bytes, who says what is free, and keys.

    `keys`: of a database that may be encrypted; None takes every file for a plain database.
    `known`: an earlier copy; where no byte differs from it, nothing is checked anew.
    """

    small_bytes: int = 16 * MEBIBYTE  # below this, starting a process costs more than it saves
    reserve_bytes: int = RESERVE_BYTES
    free_bytes: FreeBytes = free_bytes
    keys: Keys | None = None
    known: KnownContent | None = None


DEFAULT_LIMITS = SnapshotLimits()


@dataclass(frozen=True)
class StagedCopy:
    """A consistent copy in one file, not yet flushed or checked."""

    path: Path
    engine: Engine
    engine_reason: str
    cipher: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """A finished snapshot: durable, checked, and never to be opened but immutable.

    `findings`: what the integrity check found wrong with the database itself. `unchecked`: tables
    that could not be checked or counted here. `cipher`: how it is encrypted; None where it is not.
    """

    path: Path
    size: int
    sha256: str
    schema_fingerprint: str
    table_count: int
    row_count: int
    tables: tuple[TableRows, ...]
    engine: Engine
    engine_reason: str
    warnings: tuple[str, ...]
    findings: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    cipher: str | None = None

    @property
    def is_sealed(self) -> bool:
        """Whether it is encrypted and no key opened it, so that nothing inside was looked at."""
        return EVERYTHING in self.unchecked


class _Looks:
    """Looks into a finished copy, which stop where nothing is left to be found."""

    def __init__(self, path: Path, keys: Keys | None) -> None:
        self._path = path
        self._keys = keys
        self._lock = threading.Lock()
        self._open: list[sqlite3.Connection] = []

    def look(self, ask: Callable[[sqlite3.Connection], Found]) -> Found:
        with closing(open_immutable(self._path, self._keys)) as connection:
            self._open.append(connection)
            try:
                return ask(connection)
            finally:
                with self._lock:
                    self._open.remove(connection)

    def stop(self) -> None:
        with self._lock:
            for connection in self._open:
                connection.interrupt()


def take_snapshot(
    source: Path,
    staged: Path,
    *,
    engine: Literal["auto", "copy", "backup_api"] = "auto",
    wait_seconds: float = 30.0,
    on_progress: Progress | None = None,
    limits: SnapshotLimits = DEFAULT_LIMITS,
    pass_fds: Sequence[int] = (),
    pace: Pace = FULL_SPEED,
) -> Snapshot:
    """Copy the live database `source` to the new file `staged`, check it, flush it.

    `on_progress(step, bytes done, bytes in all)` hears of `copy`, then of `hash` (the longest
    check runs beside it), perhaps from another thread. `pass_fds` are inherited by the copying
    process, as a lock that must outlive this one. `pace`: how gently. An
    encrypted database of which no key fits is copied all the same, and stays unchecked.

    Raises:
        SQLiteFileError: which of them says what is wrong; nothing is left at `staged`.
    """
    copy = stage_copy(
        source,
        staged,
        engine=engine,
        wait_seconds=wait_seconds,
        on_progress=on_progress,
        limits=limits,
        pass_fds=pass_fds,
        pace=pace,
    )
    with _removed_on_failure(staged, source):
        snapshot = _verified(copy, on_progress, pace, limits)
        if not (snapshot.table_count or snapshot.is_sealed):
            raise NoTables(f"{shown(source)} has no table of the application; check the path")
        return snapshot


def stage_copy(
    source: Path,
    staged: Path,
    *,
    engine: Literal["auto", "copy", "backup_api"] = "auto",
    wait_seconds: float = 30.0,
    on_progress: Progress | None = None,
    limits: SnapshotLimits = DEFAULT_LIMITS,
    pass_fds: Sequence[int] = (),
    pace: Pace = FULL_SPEED,
) -> StagedCopy:
    """The copying half of `take_snapshot`: consistent and in one file, not flushed or checked.

    Raises:
        SQLiteFileError: as `take_snapshot`.
    """
    if limits.keys is not None and is_encrypted(source):
        _stage_encrypted(source, staged, wait_seconds, on_progress, limits, pass_fds, pace)
        return StagedCopy(staged, "copy", "encrypted: copied without its key", CIPHER)
    with reading(source, wait_seconds) as live:
        needed = live.needed_bytes + limits.reserve_bytes
        require_space(staged.parent, needed, "snapshot", limits.free_bytes)
        chosen, reason = choose_engine(live, engine, limits)
        os.close(create_private(staged))
        with _removed_on_failure(staged, source):
            failure = None
            if chosen == "copy":
                failure = _try_process(live, staged, on_progress, pass_fds, pace)
            if failure is not None:
                chosen, reason = "backup_api", f"the copying process failed: {failure}"
            if chosen == "backup_api":
                copy_by_backup_api(live, staged, on_progress, pace)
                checkpoint_copy(staged)
            require_no_foreign_locks(source)  # it may have begun to write meanwhile
    return StagedCopy(staged, chosen, reason)


def _stage_encrypted(
    source: Path,
    staged: Path,
    wait_seconds: float,
    on_progress: Progress | None,
    limits: SnapshotLimits,
    pass_fds: Sequence[int],
    pace: Pace,
) -> None:
    """Copy an encrypted database as it is; its key is used only to roll back a crashed writer."""
    require_no_foreign_locks(source)
    path = source.resolve()
    logs = [log for suffix in SIDECAR_SUFFIXES if (log := sidecar(path, suffix)).exists()]
    needed = sum(each.stat().st_size for each in (path, *logs))
    require_space(staged.parent, needed + limits.reserve_bytes, "snapshot", limits.free_bytes)
    os.close(create_private(staged))
    with _removed_on_failure(staged, source):
        try:
            copy_encrypted(path, staged, wait_seconds, on_progress, pass_fds, pace)
        except JournalLeft:
            if limits.keys is None or not limits.keys.is_configured:
                raise
            open_live(path, wait_seconds, keys=limits.keys).close()  # its first read rolls back
            copy_encrypted(path, staged, wait_seconds, on_progress, pass_fds, pace)
        except CopyFailedError as failure:
            raise FileAccessFailed(f"{shown(source)} could not be copied: {failure}") from failure
        require_no_foreign_locks(source)


def choose_engine(
    live: Source, wanted: Literal["auto", "copy", "backup_api"], limits: SnapshotLimits
) -> tuple[Engine, str]:
    """Which engine copies this source, and why."""
    if wanted != "auto":
        return wanted, "asked for"
    if live.size_bytes < limits.small_bytes:
        return "backup_api", "small database"
    if not hasattr(os, "copy_file_range"):
        return "backup_api", "this platform has no copy_file_range"
    return "copy", f"database of at least {limits.small_bytes // MEBIBYTE} MiB"


def _try_process(
    live: Source,
    staged: Path,
    on_progress: Progress | None,
    pass_fds: Sequence[int],
    pace: Pace,
) -> str | None:
    """Copy by process and checkpoint; on failure an empty staged file again, and the reason."""
    try:
        log_came_too = copy_by_process(live, staged, on_progress, pass_fds, pace)
        shape = checkpoint_copy(staged)
        if not log_came_too:
            require_same_shape(live, shape)
    except (CopyFailedError, sqlite3.DatabaseError, FileAccessFailed) as failure:
        if _is_full(failure):
            raise
        remove_database(staged)
        os.close(create_private(staged))
        return shown(failure)
    return None


def _is_full(error: BaseException) -> bool:
    """Whether SQLite found the disk full: the one fault of the staged file's side."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def _verified(
    copy: StagedCopy, on_progress: Progress | None, pace: Pace, limits: SnapshotLimits
) -> Snapshot:
    """Flush, hash, count and check side by side: nobody writes the file any more."""
    path, looks, known = copy.path, _Looks(copy.path, limits.keys), limits.known
    size, reason = path.stat().st_size, copy.engine_reason
    with ThreadPoolExecutor(4, "snapshot", _be_nice, (pace.niceness,)) as pool:
        flushed = pool.submit(flush_file, path)
        digest = pool.submit(sha256_of, path, on_progress)
        content = pool.submit(looks.look, partial(_inspected, path))
        report = pool.submit(looks.look, check_integrity)
        is_known = known is not None and known.size == size and known.sha256 == digest.result()
        if is_known:
            looks.stop()
    flushed.result()
    flush_directory(path.parent)
    if known is not None and is_known:
        found, checked = known.inspection(), IntegrityReport([])
        reason = f"{reason}; {NOT_CHECKED_ANEW}: it has the bytes of {known.where}"
    else:
        found, checked = _seen(content, report, path)
    sha256 = digest.result()
    leave_page_cache(path)
    return Snapshot(
        path=path,
        size=size,
        sha256=sha256,
        schema_fingerprint=found.schema_fingerprint,
        table_count=found.table_count,
        row_count=found.row_count,
        tables=found.tables,
        engine=copy.engine,
        engine_reason=reason,
        warnings=(*found.warnings, *checked.warnings),
        findings=tuple(checked.problems),
        unchecked=tuple(dict.fromkeys((*checked.unchecked, *found.uncounted))),
        cipher=copy.cipher,
    )


def _inspected(path: Path, connection: sqlite3.Connection) -> Inspection:
    try:
        return inspect(connection)
    except sqlite3.Error as error:
        raise translated(error, path) from error


def _seen(
    content: Future[Inspection], report: Future[IntegrityReport], staged: Path
) -> tuple[Inspection, IntegrityReport]:
    """What was found inside; of an encrypted file that no key opened, why nothing was."""
    try:
        return content.result(), report.result()
    except (KeyMissing, WrongDatabaseKey) as error:
        reason = shown(error).replace(shown(staged), "the database")
        return sealed(reason), IntegrityReport([])


def _be_nice(niceness: int) -> None:
    """Let the application go before this thread; only Linux has niceness for threads."""
    if niceness and sys.platform == "linux":
        thread = threading.get_native_id()
        before = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(19, before + niceness))


@contextmanager
def _removed_on_failure(staged: Path, source: Path) -> Iterator[None]:
    """Leave nothing at `staged` when the block fails, and name the file that is at fault."""
    try:
        yield
    except BaseException as error:
        with suppress(OSError):  # what cannot be removed now is recovery's
            remove_database(staged)
        if isinstance(error, sqlite3.Error):
            raise translated(error, staged if _is_full(error) else source) from error
        if isinstance(error, OSError) and not isinstance(error, SQLiteFileError):
            raise file_error(error, staged) from error
        raise
