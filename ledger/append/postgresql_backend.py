"""The ledger and read models on a PostgreSQL server: many machines, one clock, the server's."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, create_engine, event, literal_column, select, text
from sqlalchemy.dialects import postgresql

from ledger.append import tables
from ledger.append.backend import BACKEND, BUSY_SECONDS, WRITE, Backend, BrokenGuard
from ledger.append.listening import Listener
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from threading import Event

    from sqlalchemy import Column, Connection, Table
    from sqlalchemy.engine import URL, Engine

    from ledger.append.prepared import Prepared

CREATION_LOCK = int.from_bytes(b"backupn")
"""The advisory lock of whoever makes a ledger's tables."""

PROJECTOR_LOCK = int.from_bytes(b"backupl")
"""The advisory lock that whoever writes read models holds."""

IDLE_WRITER_SECONDS = 15
"""How long a writer may hold the head and do nothing before it is cut off."""

CONNECTION = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""How long a server may be silent (s; the last one ms), unless its URL says otherwise.

Without these, whoever talks to a machine that lost its power or its network waits for hours.
"""

_NO_LOST_COMMIT = (
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') = 'off'"
)
"""Where a server is set to confirm what it may still lose, our commits are not among that."""

# Not now(): a transaction may have waited long for its lock since it began.
_NOW = literal_column(
    "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint", type_=BigInteger()
)
_AS_THEIR_OWNER = text(
    "SELECT set_config('role', tableowner, true) FROM pg_tables "
    "WHERE schemaname = current_schema() AND tablename = :table AND tableowner <> current_user "
    "AND pg_has_role(current_user, tableowner, 'MEMBER')"
)
"""Whoever may: an administrator's rebuild must not make tables that others cannot use."""

_TRIGGERS = text(
    "SELECT t.tgname, c.relname, t.tgtype, t.tgenabled, p.prosrc "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE NOT t.tgisinternal AND t.tgparentid = 0 "
    "AND c.relnamespace = current_schema()::regnamespace"
)
_HAS_COLUMN = text(
    "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = :column "
    "AND attnum > 0 AND NOT attisdropped"
)
_IDENTITY = text(
    "SELECT system_identifier, current_database(), current_schema() FROM pg_control_system()"
)
_INDEXES = text("SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()")
_SIZE = text("SELECT pg_database_size(current_database())")


class PostgreSQLBackend(Backend):
    """A database on a server."""

    name = "postgresql"
    is_of_one_machine = False
    is_near = False
    notifies = True
    is_ours_alone = False
    writers_block_readers = False
    holds_any_value = False
    leaves_foreign_keys_unchecked = False
    unchecked = "the database server's own rights and storage"

    def open(
        self, url: URL, *, busy_seconds: float, durable: bool, own_cache_kib: int | None
    ) -> Engine:
        """All of its transactions are durable; how long they wait is said in each.

        Raises:
            LedgerError: the driver is not installed.
        """
        del busy_seconds, durable, own_cache_kib
        options = {name: CONNECTION[name] for name in CONNECTION.keys() - url.query.keys()}
        try:
            engine = create_engine(
                url,
                pool_pre_ping=True,
                # Whatever the database's default: the head is locked first and read then.
                isolation_level="READ COMMITTED",
                connect_args=options,
                execution_options={BACKEND: self},
            )
        except ImportError as error:
            raise LedgerError(
                f"no driver for {url.get_backend_name()}: install backup-ledger[postgresql]"
            ) from error

        @event.listens_for(engine, "connect")
        def _on_connect(connection: Any, _record: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute(_NO_LOST_COMMIT)
            connection.commit()

        @event.listens_for(engine, "begin")
        def _on_begin(connection: Connection) -> None:
            if connection.get_execution_options().get(WRITE, False):
                connection.exec_driver_sql(bounded_writer())

        return engine

    def file_of(self, url: URL) -> None:
        del url

    def place_of(self, url: URL) -> str:
        shown = url.set(drivername="postgresql", query={})
        return shown.render_as_string(hide_password=True)

    def identity(self, connection: Connection) -> tuple[object, ...]:
        return (self.name, *connection.execute(_IDENTITY).one())

    def snapshot_engine(self, engine: Engine) -> Engine:
        return engine.execution_options(isolation_level="REPEATABLE READ")

    def set_patience(self, connection: Connection, seconds: float) -> None:
        """Each transaction says it itself."""

    def fold_alone(self, connection: Connection, seconds: float, table: str) -> None:
        # Other projectors are no application that keeps its lock: each has it for a moment.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(seconds * 1_000)}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({PROJECTOR_LOCK})")
        connection.execute(_AS_THEIR_OWNER, {"table": table})

    def prepare_new(self, engine: Engine) -> None:
        """It is as it should be."""

    def make_alone(self, connection: Connection) -> None:
        # Several machines may begin at once; the first one makes the tables.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({CREATION_LOCK})")

    def broken_guards(self, connection: Connection) -> Iterator[BrokenGuard]:
        stored = {row.tgname: row for row in connection.execute(_TRIGGERS)}
        for trigger in tables.POSTGRESQL_TRIGGERS:
            found = stored.pop(trigger.name, None)
            expected = (trigger.table, trigger.bits, tables.POSTGRESQL_FUNCTIONS[trigger.function])
            if found is None:
                yield BrokenGuard(f"the trigger {trigger.name} was dropped", trigger.when, None)
            elif (found.relname, found.tgtype, found.prosrc) != expected:
                problem = f"the trigger {trigger.name} was changed"
                yield BrokenGuard(problem, str(expected), str(tuple(found)))
            elif found.tgenabled not in (b"O", "O", b"A", "A"):
                problem = f"the trigger {trigger.name} was switched off"
                yield BrokenGuard(problem, "enabled", str(found.tgenabled))
        for name, found in stored.items():
            if found.relname in tables.metadata.tables:
                problem = f"{found.relname} has a trigger that is not ours: {name}"
                yield BrokenGuard(problem, "no such trigger", found.prosrc)

    def in_batches(
        self, connection: Connection, statement: Prepared, size: int
    ) -> Iterator[Sequence[Any]]:
        """By a cursor of the server's: the driver would fetch all rows otherwise."""
        options = {"yield_per": size}
        with connection.execute(statement.statement, execution_options=options) as result:
            yield from result.partitions()

    def listener(self, engine: Engine, stop: Event) -> Listener:
        return Listener(engine, stop)

    def size_bytes(self, connection: Connection) -> int:
        return int(connection.execute(_SIZE).scalar_one())

    def lease_now(self, connection: Connection, monotonic: float) -> int:
        del monotonic
        return int(connection.execute(select(_NOW)).scalar_one())

    def lease_clock(self, monotonic: float) -> Any:
        del monotonic
        return _NOW

    def lock_free_rows(self, statement: Any) -> Any:
        return statement.with_for_update(skip_locked=True)

    def insert(self, table: Table) -> Any:
        return postgresql.insert(table)

    @property
    def stored_instant(self) -> Callable[[datetime], Any]:
        return _instant

    def has_column(self, connection: Connection, table: str, column: str) -> bool:
        wanted = {"table": table, "column": column}
        return connection.execute(_HAS_COLUMN, wanted).first() is not None

    def rename_table(self, connection: Connection, old: str, new: str) -> None:
        quote = connection.dialect.identifier_preparer.quote
        connection.execute(text(f"ALTER TABLE {quote(old)} RENAME TO {quote(new)}"))

    def triggers_on(self, connection: Connection, table: str) -> list[tuple[str, str]]:
        del connection, table
        return []  # they belong to the table, whatever its name is

    def index_names(self, connection: Connection) -> set[str]:
        return set(connection.execute(_INDEXES).scalars())

    def in_order_of_bytes(self, column: Column[Any]) -> Any:
        return column.collate("C") if column.type.python_type is str else column


def bounded_writer() -> str:
    """Sets how long a transaction that writes may do nothing, and wait for another one's lock."""
    return (
        "SELECT set_config('idle_in_transaction_session_timeout', "
        f"'{IDLE_WRITER_SECONDS}s', true), "
        f"set_config('lock_timeout', '{BUSY_SECONDS:g}s', true)"
    )


def _instant(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(tzinfo=None)
