"""The ledger and read models in SQLite: one machine, one writer at a time."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.util import LRUCache

from ledger.append.backend import (
    BACKEND,
    OURS,
    SECOND,
    WRITE,
    Backend,
    BrokenGuard,
    Opening,
    quoted,
)
from ledger.append.databases import guards
from ledger.append.databases.damaged_file import set_aside_damaged
from ledger.append.databases.listening import Looking
from ledger.append.prepared import Prepared
from ledger.sqlite_driver import Connection as SQLiteConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from threading import Event

    from sqlalchemy import Column, Connection, Table
    from sqlalchemy.engine import URL, Dialect, Engine

# Through sqlite_master, because a pragma alone may answer from a schema that is out of date.
_HAS_COLUMN = Prepared(
    text(
        "SELECT 1 FROM sqlite_master AS found, pragma_table_info(found.name) AS its "
        "WHERE lower(found.name) = :table AND lower(its.name) = :column"
    )
)
_INDEXES = text("SELECT name FROM sqlite_master WHERE type = 'index'")
_TRIGGERS = text("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
_SIZE = text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")


_DIALECT = sqlite.dialect()
_COMPILED: LRUCache[Any, Any] = LRUCache(1_000)
"""Statements as SQL, of all engines: to compile them takes longer than most take to run."""


@cache
def _known_dialect() -> Dialect:
    """The dialect of all engines (one is part of the key), which has seen this SQLite."""
    engine = create_engine("sqlite://")
    with engine.connect():
        return engine.dialect


@cache
def _statements(table: Table) -> tuple[str, ...]:
    """What makes a table and its indexes; a text is found sooner than it is made again."""
    its_own = str(CreateTable(table).compile(dialect=_DIALECT))
    return its_own, *(str(CreateIndex(each).compile(dialect=_DIALECT)) for each in table.indexes)


class SQLiteBackend(Backend):
    """Files, and databases in memory."""

    name = "sqlite"
    is_of_one_machine = True
    is_near = True
    notifies = False
    is_ours_alone = True
    writers_block_readers = True
    holds_any_value = True
    leaves_foreign_keys_unchecked = True
    beyond_erasure = "copies of the folder or of the file"
    unchecked = "the inner structure of the database file (SQLite: PRAGMA integrity_check)"

    def open(self, url: URL, options: Opening) -> Engine:
        connecting = {"timeout": options.busy_seconds, "factory": SQLiteConnection}
        engine = self._engine(url, connect_args=connecting)
        synchronous = "FULL" if options.durable else "NORMAL"

        @event.listens_for(engine, "connect")
        def _on_connect(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves
            connection.execute(f"PRAGMA synchronous={synchronous}")
            if options.own_cache_kib is not None:
                connection.execute("PRAGMA journal_mode=WAL").fetchall()
                connection.execute(f"PRAGMA cache_size=-{options.own_cache_kib}")

        event.listen(engine, "begin", _begin)
        return engine

    def open_in_memory(self, *, spills: bool) -> Engine:
        """A database that nobody keeps. `spills`: what is much goes to a temporary file."""

        def connect() -> sqlite3.Connection:
            # SQLite keeps a database without a name in memory for as long as it is small.
            return sqlite3.connect("" if spills else ":memory:", check_same_thread=False)

        return self._engine("sqlite://", poolclass=StaticPool, creator=connect)

    def _engine(self, url: URL | str, **arguments: Any) -> Engine:
        """An engine that finds what another one of this process has compiled."""
        options = {BACKEND: self, "compiled_cache": _COMPILED}
        engine = create_engine(url, execution_options=options, **arguments)
        engine.dialect = _known_dialect()
        return engine

    def file_of(self, url: URL) -> str:
        return url.database or ""

    def place_of(self, url: URL) -> str:
        return url.database or str(url)

    def identity(self, connection: Connection) -> tuple[object, ...]:
        return (self.name, os.path.realpath(connection.engine.url.database or ""))

    def snapshot_engine(self, engine: Engine) -> Engine:
        return engine  # every transaction is one

    def set_patience(self, connection: Connection, seconds: float) -> None:
        raw: Any = connection.connection.driver_connection
        raw.execute(f"PRAGMA busy_timeout={int(seconds * 1_000)}")

    def fold_alone(self, connection: Connection, seconds: float) -> None:
        """The write lock, which the transaction has, does it."""

    def prepare_new(self, engine: Engine) -> None:
        with engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            raw.execute("PRAGMA journal_mode=WAL").fetchall()

    def make_alone(self, connection: Connection) -> None:
        """The write lock, which the transaction has, does it."""

    def schema_of(self, connection: Connection) -> None:
        del connection

    def is_strangers(self, engine: Engine, table: str) -> bool:
        del engine, table
        return False  # who may write a file may do everything with it

    def add_guards(self, connection: Connection) -> None:
        for name, statement in guards.sqlite_triggers(guards.ERASABLE_SINCE).items():
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
            connection.exec_driver_sql(statement)

    def broken_guards(self, connection: Connection, version: int) -> Iterator[BrokenGuard]:
        stored = {row.name: (row.tbl_name, row.sql) for row in connection.execute(_TRIGGERS)}
        for name, sql in guards.sqlite_triggers(version).items():
            _, found = stored.pop(name, (None, None))
            if found is None:
                problem = f"the trigger {name}, which keeps history append-only, was dropped"
                yield BrokenGuard(problem, sql, None)
            elif found != sql:
                yield BrokenGuard(f"the trigger {name} was changed", sql, found)
        for name, (table, sql) in stored.items():
            if str(table).startswith(OURS):
                problem = f"{table} has a trigger that does not belong to the ledger: {name}"
                yield BrokenGuard(problem, "no such trigger", sql)

    def overwrite(self, connection: Connection) -> None:
        raw: Any = connection.connection.driver_connection
        raw.execute("PRAGMA secure_delete=ON")

    def scrub(self, engine: Engine, tables: Sequence[str]) -> str | None:
        """Made anew without what was deleted, and its log emptied: no page of before is left."""
        del tables
        with engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            try:
                self.overwrite(connection)
                raw.execute("VACUUM")
                busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError as error:
                return str(error)
            finally:
                raw.execute("PRAGMA secure_delete=OFF")
        return "another process is reading it, so its write-ahead log remains" if busy else None

    def in_batches(
        self, connection: Connection, statement: Prepared, size: int
    ) -> Iterator[Sequence[Any]]:
        # The driver's own cursor: SQLAlchemy's rows would double the time of a long pass.
        cursor = statement.run(connection, {})
        while batch := cursor.fetchmany(size):
            yield batch

    def listener(self, engine: Engine, stop: Event) -> Looking:
        del engine
        return Looking(stop)

    def size_bytes(self, connection: Connection) -> int:
        return int(connection.execute(_SIZE).scalar_one())

    def lease_now(self, connection: Connection, monotonic: float) -> int:
        del connection
        return int(monotonic * SECOND)

    def lease_clock(self, monotonic: float) -> Any:
        return int(monotonic * SECOND)

    def lock_free_rows(self, statement: Any) -> Any:
        return statement

    def insert(self, table: Table) -> Any:
        return sqlite.insert(table)

    @property
    def stored_instant(self) -> Callable[[datetime], Any]:
        return _instant

    def set_aside_damaged(self, engine: Engine) -> str | None:
        engine.dispose()
        return set_aside_damaged(Path(self.file_of(engine.url)))

    def has_column(self, connection: Connection, table: str, column: str) -> bool:
        wanted = {"table": table, "column": column}
        return _HAS_COLUMN.run(connection, wanted).fetchone() is not None

    def create_table(self, connection: Connection, table: Table) -> None:
        for statement in _statements(table):
            connection.exec_driver_sql(statement)

    def rename_table(self, connection: Connection, old: str, new: str) -> None:
        # Otherwise SQLite would rewrite the application's views to follow the old rows.
        connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
        try:
            connection.execute(
                text(f"ALTER TABLE {quoted(connection, old)} RENAME TO {quoted(connection, new)}")
            )
        finally:
            connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")

    def triggers_on(self, connection: Connection, table: str) -> list[tuple[str, str]]:
        rows = connection.execute(_TRIGGERS)
        return [(row.name, row.sql) for row in rows if row.tbl_name == table]

    def index_names(self, connection: Connection) -> set[str]:
        return set(connection.execute(_INDEXES).scalars())

    def in_order_of_bytes(self, column: Column[Any]) -> Any:
        return column


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get(WRITE, False)
    raw: Any = connection.connection.driver_connection
    try:
        raw.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    except sqlite3.Error as error:
        raise DBAPIError.instance("BEGIN", None, error, sqlite3.Error) from error


def _instant(value: datetime) -> str:
    instant = value if value.tzinfo is UTC else value.astimezone(UTC)
    return instant.isoformat(" ", "microseconds")[:-6]
