"""Restore by rename: for a target that is missing, damaged, or of another page size.

Only where nobody else has the target open, because an open connection would go on reading the old
file. A caller that records what happens takes the steps by itself:

    with sole_access(target, wait_seconds):
        belongings = belongings_of(target)
        clear_sidecars(target)
        rename_into_place(staged, target, belongings)
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from commands.sqlite.cipher.keys import Keys
from commands.sqlite.connections import (
    SIDECAR_SUFFIXES,
    is_encrypted,
    open_immutable,
    open_live,
    pragma,
    require_database_file,
    sidecar,
)
from commands.sqlite.errors import (
    DamagedDatabase,
    DatabaseBusy,
    NotADatabase,
    SourceMissing,
    shown,
    translated,
)
from commands.sqlite.files import file_error, flush_directory
from commands.sqlite.permissions import Belongings, belongings_of, give

Reason = Literal["missing", "damaged", "page_size", "cipher"]


def needs_replacement(
    target: Path, backup: Path, *, wait_seconds: float = 30.0, keys: Keys | None = None
) -> Reason | None:
    """Why `backup` cannot go into `target` by a transaction; None when it can.

    Damaged means that SQLite cannot read the schema; damage further inside is overwritten by a
    transaction as well. Another page size matters in WAL mode only. Cipher: one of the two is
    encrypted, and the other is not. `keys`: of those that are; not needed where the target is gone.

    Raises:
        KeyMissing, WrongDatabaseKey: one that is encrypted cannot be opened.
        SQLiteFileError: the backup cannot be read; the target is busy or not to be opened.
    """
    is_keyed = keys is not None and is_encrypted(backup)
    if is_keyed and not target.exists():
        require_database_file(backup)
        return "missing"
    with closing(open_immutable(backup, keys)) as connection:
        wanted, _ = _page_size_and_mode(connection, backup)
    if target.is_file() and target.stat().st_size == 0:
        return "cipher" if is_keyed else None  # without content: a transaction fills it
    if target.exists() and not target.is_file():
        raise NotADatabase(f"{shown(target)} is not a regular file; choose another target")
    try:
        require_database_file(target)
        if keys is not None and is_encrypted(target) != is_keyed:
            open_live(target, wait_seconds, keys=keys).close()
            return "cipher"
        with closing(open_live(target, wait_seconds, keys=keys)) as connection:
            found, mode = _page_size_and_mode(connection, target)
    except SourceMissing:
        return "missing"
    except (NotADatabase, DamagedDatabase):
        return "damaged"
    return "page_size" if mode == "wal" and found != wanted else None


def replace_target(
    target: Path, staged: Path, *, wait_seconds: float = 30.0, keys: Keys | None = None
) -> None:
    """Put `staged` in the place of `target`, which nobody else may have open.

    `staged` is finished, flushed, and on the same file system. Sidecars of the old database are
    removed first, so that they are never replayed over the new one.

    Raises:
        DatabaseBusy: somebody has the target open; nothing was changed.
        SQLiteFileError: a step failed.
    """
    with sole_access(target, wait_seconds, keys):
        belongings = belongings_of(target)
        clear_sidecars(target)
        rename_into_place(staged, target, belongings)


@contextmanager
def sole_access(
    target: Path, wait_seconds: float = 30.0, keys: Keys | None = None
) -> Iterator[None]:
    """Hold SQLite's exclusive lock on the target, where it can be taken.

    It cannot on a missing file, nor on one that SQLite does not recognize: those are let through.

    Raises:
        DatabaseBusy: somebody else had the target open for all of `wait_seconds`.
        KeyMissing, WrongDatabaseKey: it is encrypted, and cannot be locked without its key.
    """
    connection = _lock(target.resolve(), wait_seconds, keys)
    try:
        yield
    finally:
        # When the target was renamed over, SQLite notices and neither checkpoints nor removes
        # a log at that path: it may be the new database's.
        if connection is not None:
            connection.close()


def clear_sidecars(target: Path) -> None:
    """Remove the log, its index and the rollback journal beside the target; durable.

    Raises:
        FileAccessFailed: they cannot be removed.
    """
    target = target.resolve()
    try:
        for suffix in SIDECAR_SUFFIXES:
            sidecar(target, suffix).unlink(missing_ok=True)
        flush_directory(target.parent)
    except OSError as error:
        raise file_error(error, target) from error


def rename_into_place(staged: Path, target: Path, belongings: Belongings) -> None:
    """Rename `staged` to the target (of a symbolic link: to what it points at); durable.

    `belongings`: owner, group and mode that it gets before that.

    Raises:
        SQLiteFileError: as the system says; the target is the old one or the new one.
    """
    target = target.resolve()
    try:
        give(staged, belongings)
        staged.replace(target)
        flush_directory(target.parent)
        if staged.parent != target.parent:
            flush_directory(staged.parent)
    except OSError as error:
        raise file_error(error, target) from error


def _lock(target: Path, wait_seconds: float, keys: Keys | None) -> sqlite3.Connection | None:
    try:
        require_database_file(target)
        connection = open_live(target, wait_seconds, keys=keys)
    except (SourceMissing, NotADatabase, DamagedDatabase):
        return None
    try:
        # In WAL mode this refuses while anybody has the file open, readers at rest too. Nothing
        # is written, so the file keeps its bytes.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        connection.close()
        problem = translated(error, target)
        if isinstance(problem, NotADatabase | DamagedDatabase):
            return None
        if isinstance(problem, DatabaseBusy):
            raise DatabaseBusy(
                f"{shown(target)} is open in another connection; "
                "nothing was changed, stop whatever uses it and try again"
            ) from error
        raise problem from error
    return connection


def _page_size_and_mode(connection: sqlite3.Connection, path: Path) -> tuple[int, str]:
    try:
        connection.execute("SELECT count(*) FROM main.sqlite_schema").fetchone()
        size, mode = pragma(connection, "page_size"), pragma(connection, "journal_mode")
    except sqlite3.Error as error:
        raise translated(error, path) from error
    return int(size), mode
