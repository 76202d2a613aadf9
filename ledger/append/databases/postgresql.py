"""The ledger and read models on a PostgreSQL server: many machines, one clock, the server's."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, create_engine, event, literal_column, select, text
from sqlalchemy.exc import DBAPIError

from ledger.append.backend import (
    BACKEND,
    BUSY_SECONDS,
    OURS,
    WRITE,
    Backend,
    BrokenGuard,
    Opening,
    backend_of,
    quoted,
)
from ledger.append.databases import guards
from ledger.append.databases.listening import Listener
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from threading import Event

    from sqlalchemy import Column, Connection, Table
    from sqlalchemy.engine import URL, Engine

    from ledger.append.prepared import Prepared

GUARDED_SINCE = 3
"""Version of the tables since which a server has the triggers of today."""

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

PIN_SEARCH_PATH = "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)"
"""Temporary tables come last: no name of the server's is taken for one of them."""

READ_MODELS = "_read_models"
"""How the name of the schema of read models ends; it begins with that of the ledger's."""

_HAS_SCHEMA = "SELECT 1 FROM pg_namespace WHERE nspname = %s::name"

_ONLY_PLAIN_TABLES = (
    "SELECT set_config('row_security', 'off', false), (SELECT set_config(name, "
    "'view, foreign-table', false) FROM pg_settings "
    "WHERE name = 'restrict_nonsystem_relation_kind')"
)
"""What the owner of a table could put in its place runs in our session; so it is refused."""

_IS_STRANGERS = text(
    "SELECT EXISTS (SELECT FROM pg_roles AS us "
    "JOIN pg_class AS ledger ON ledger.oid = to_regclass(:events) "
    "JOIN (SELECT relowner AS oid FROM pg_class WHERE oid = to_regclass(:progress) UNION ALL "
    "SELECT nspowner FROM pg_namespace WHERE nspname = CAST(:read_models AS name)) AS keeper "
    "ON keeper.oid NOT IN (us.oid, ledger.relowner) WHERE us.rolname = session_user "
    "AND (us.rolsuper OR us.rolcreaterole OR pg_has_role(us.oid, ledger.relowner, 'MEMBER')))"
)

_NO_LOST_COMMIT = (
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') = 'off'"
)
"""Where a server is set to confirm what it may still lose, our commits are not among that."""

# Not now(): a transaction may have waited long for its lock since it began.
_NOW = literal_column(
    "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint", type_=BigInteger()
)
_TRIGGERS = text(
    "SELECT t.tgname, c.relname, t.tgtype, t.tgenabled, p.prosrc "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE NOT t.tgisinternal AND t.tgparentid = 0 "
    "AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = CAST(:schema AS name))"
)
_HAS_COLUMN = text(
    "SELECT 1 FROM pg_attribute "
    "WHERE attrelid = to_regclass(:table) AND attname = CAST(:column AS name) "
    "AND attnum > 0 AND NOT attisdropped"
)
_IDENTITY = text("SELECT system_identifier, current_database() FROM pg_control_system()")
_INDEXES = text("SELECT indexname FROM pg_indexes WHERE schemaname = CAST(:schema AS name)")
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
    beyond_erasure = "the server's WAL archives, base backups, dumps and standbys"
    unchecked = "the database server's permissions and storage"

    def open(self, url: URL, options: Opening) -> Engine:
        """All of its transactions are durable; how long they wait is said in each.

        Raises:
            LedgerError: the driver is not installed.
        """
        given = {name: CONNECTION[name] for name in CONNECTION.keys() - url.query.keys()}
        try:
            engine = create_engine(
                url,
                pool_pre_ping=True,
                # Whatever the database's default: the head is locked first and read then.
                isolation_level="READ COMMITTED",
                connect_args=given,
                execution_options={BACKEND: self},
                use_native_hstore=False,
            )
        except ImportError as error:
            raise LedgerError(
                f"no driver for {url.get_backend_name()}: install backup-ledger[postgresql]"
            ) from error
        schemas: list[str] = []

        @event.listens_for(engine, "do_connect")
        def _connected(dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
            raw = dialect.connect(*args, **parameters)
            try:
                schemas[:] = [_prepare(raw, options)]
            except BaseException:
                raw.close()
                raise
            return raw

        @event.listens_for(engine, "engine_connect")
        def _qualified(connection: Connection) -> None:
            connection.execution_options(schema_translate_map={None: schemas[0]})

        event.listen(engine, "begin", _begin)
        return engine

    def file_of(self, url: URL) -> None:
        del url

    def place_of(self, url: URL) -> str:
        shown = url.set(drivername="postgresql", query={})
        return shown.render_as_string(hide_password=True)

    def identity(self, connection: Connection) -> tuple[object, ...]:
        found = connection.execute(_IDENTITY).one()
        return (self.name, *found, self.schema_of(connection))

    def snapshot_engine(self, engine: Engine) -> Engine:
        return engine.execution_options(isolation_level="REPEATABLE READ")

    def set_patience(self, connection: Connection, seconds: float) -> None:
        """Each transaction says it itself."""

    def fold_alone(self, connection: Connection, seconds: float) -> None:
        # Other projectors are not an application that keeps its lock: each has it for a moment.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(seconds * 1_000)}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({PROJECTOR_LOCK})")

    def prepare_new(self, engine: Engine) -> None:
        """It is as it should be."""

    def make_alone(self, connection: Connection) -> None:
        # Several machines may begin at once; the first one makes the tables.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({CREATION_LOCK})")

    def schema_of(self, connection: Connection) -> str:
        found: str = connection.get_execution_options()["schema_translate_map"][None]
        return found

    def is_strangers(self, engine: Engine, table: str) -> bool:
        with engine.connect() as connection:
            schema = self.schema_of(connection).removesuffix(READ_MODELS)
            quote = connection.dialect.identifier_preparer.quote
            wanted = {
                "events": f"{quote(schema)}.ledger_events",
                "progress": quoted(connection, table),
                "read_models": read_models_schema(schema),
            }
            return bool(connection.execute(_IS_STRANGERS, wanted).scalar_one())

    def add_guards(self, connection: Connection) -> None:
        for statement in guards.server_statements(_quoted_schema(connection)):
            # Without parameters, or the driver would look for some at every "%".
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})

    def broken_guards(self, connection: Connection, version: int) -> Iterator[BrokenGuard]:
        wanted = {"schema": self.schema_of(connection)}
        stored = {row.tgname: row for row in connection.execute(_TRIGGERS, wanted)}
        schema = _quoted_schema(connection)
        for trigger in guards.POSTGRESQL_TRIGGERS:
            found = stored.pop(trigger.name, None)
            if version < GUARDED_SINCE:
                continue  # those of older software did less
            body = guards.function_body(trigger.function, schema)
            expected = (trigger.table, trigger.bits, body)
            if found is None:
                yield BrokenGuard(f"the trigger {trigger.name} was dropped", trigger.when, None)
            elif (found.relname, found.tgtype, found.prosrc) != expected:
                problem = f"the trigger {trigger.name} was changed"
                yield BrokenGuard(problem, str(expected), str(tuple(found)))
            elif found.tgenabled not in (b"O", "O", b"A", "A"):
                problem = f"the trigger {trigger.name} was switched off"
                yield BrokenGuard(problem, "enabled", str(found.tgenabled))
        for name, found in stored.items():
            if found.relname.startswith(OURS):
                problem = (
                    f"{found.relname} has a trigger that does not belong to the ledger: {name}"
                )
                yield BrokenGuard(problem, "no such trigger", found.prosrc)

    def overwrite(self, connection: Connection) -> None:
        """A server has no such thing."""

    def scrub(self, engine: Engine, tables: Sequence[str]) -> str | None:
        """Dead rows are removed, unless a transaction may still see them."""
        at_once = engine.execution_options(isolation_level="AUTOCOMMIT")
        try:
            with at_once.connect() as connection:
                names = ", ".join(quoted(connection, table) for table in tables)
                connection.exec_driver_sql(f"VACUUM {names}")
        except DBAPIError as error:
            return str(error.orig).partition("\n")[0]
        return None

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
        from sqlalchemy.dialects import postgresql  # asyncio and five drivers: only for a server

        return postgresql.insert(table)

    @property
    def stored_instant(self) -> Callable[[datetime], Any]:
        return _instant

    def set_aside_damaged(self, engine: Engine) -> None:
        del engine  # a server's files are its administrator's

    def has_column(self, connection: Connection, table: str, column: str) -> bool:
        wanted = {"table": quoted(connection, table), "column": column}
        return connection.execute(_HAS_COLUMN, wanted).first() is not None

    def create_table(self, connection: Connection, table: Table) -> None:
        table.create(connection)

    def rename_table(self, connection: Connection, old: str, new: str) -> None:
        name = connection.dialect.identifier_preparer.quote(new)
        connection.execute(text(f"ALTER TABLE {quoted(connection, old)} RENAME TO {name}"))

    def triggers_on(self, connection: Connection, table: str) -> list[tuple[str, str]]:
        del connection, table
        return []  # they belong to the table, whatever its name is

    def index_names(self, connection: Connection) -> set[str]:
        return set(connection.execute(_INDEXES, {"schema": self.schema_of(connection)}).scalars())

    def in_order_of_bytes(self, column: Column[Any]) -> Any:
        return column.collate("C") if column.type.python_type is str else column


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get(WRITE, False):
        connection.exec_driver_sql(bounded_writer())


def _prepare(raw: Any, options: Opening) -> str:
    """Make a new connection safe; the schema in which its tables are.

    From here on only the server's own functions and operators are found without their schema:
    whoever may make some in a schema that we use would have them run with our rights.
    """
    with raw.cursor() as cursor:
        (schema,) = cursor.execute("SELECT pg_catalog.current_schema()").fetchone()
        cursor.execute(PIN_SEARCH_PATH)
        if schema is None:
            raise LedgerError(
                "the server's search_path names no existing schema; give the role one: "
                "ALTER ROLE .. SET search_path = .."
            )
        cursor.execute(_NO_LOST_COMMIT)
        own = read_models_schema(schema)
        if options.for_read_models and cursor.execute(_HAS_SCHEMA, (own,)).fetchone():
            schema = own
            cursor.execute(_ONLY_PLAIN_TABLES)
    raw.commit()
    return str(schema)


def read_models_schema(schema: str) -> str:
    """Where the read models of a ledger with roles are. `schema`: the ledger's."""
    return f"{schema}{READ_MODELS}"


def bounded_writer() -> str:
    """Sets how long a transaction that writes may do nothing, and wait for another one's lock."""
    return (
        "SELECT set_config('idle_in_transaction_session_timeout', "
        f"'{IDLE_WRITER_SECONDS}s', true), "
        f"set_config('lock_timeout', '{BUSY_SECONDS:g}s', true)"
    )


def _instant(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(tzinfo=None)


def _quoted_schema(connection: Connection) -> str:
    schema = backend_of(connection).schema_of(connection)
    return connection.dialect.identifier_preparer.quote(str(schema))
