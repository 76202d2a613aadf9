"""What SQLite and PostgreSQL do differently: one object for each, chosen where an engine is opened.

Everything else asks the object that belongs to its engine or connection (`backend_of`), so no
other module compares names of databases.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, Self

from sqlalchemy import inspect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from threading import Event

    from sqlalchemy import Column, Connection, Table
    from sqlalchemy.engine import URL, Engine

    from ledger.append.prepared import Prepared

WRITE = "ledger_write"
"""Execution option: this connection's transactions take the write lock at once."""

BACKEND = "ledger_backend"
"""Execution option: the object of this module that belongs to the engine."""

BUSY_SECONDS = 30.0
"""How long a writer waits for another one before it gives up."""

OURS = "ledger_"
"""How the names of the ledger's tables begin."""

SECOND = 1_000_000
"""Leases and heartbeats are in microseconds."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How an engine is to be opened.

    `durable`: a file's commits wait until they are on disk. `own_cache_kib`: a file is ours
    alone; it is kept in WAL mode, and a connection keeps so many KiB of its pages.
    `for_read_models`: on a server, in their own schema where there is one.
    """

    busy_seconds: float = BUSY_SECONDS
    durable: bool = True
    own_cache_kib: int | None = None
    for_read_models: bool = False


class BrokenGuard(NamedTuple):
    """A trigger that should keep history append-only, and does not."""

    problem: str
    expected: str
    found: str | None


class Waiting(Protocol):
    """Waits for appends of anybody; one thread uses it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def wait(self, seconds: float) -> bool:
        """Wait, no longer than this; whether there may be something new, or it is to stop."""
        ...


class Backend(ABC):
    """One kind of database."""

    name: ClassVar[str]
    is_of_one_machine: ClassVar[bool]
    """All who work on it are on this machine, so their file locks can be looked at."""
    is_near: ClassVar[bool]
    """A statement costs no message over a network, so asking one by one is no slower."""
    notifies: ClassVar[bool]
    """It says when somebody appends; otherwise one has to look."""
    is_ours_alone: ClassVar[bool]
    """A ledger shares its database with nothing else."""
    writers_block_readers: ClassVar[bool]
    """Who holds the write lock may keep others from reading, too."""
    holds_any_value: ClassVar[bool]
    """A column may hold values of another type than its own."""
    leaves_foreign_keys_unchecked: ClassVar[bool]
    """A foreign key can be declared for others without being enforced on us."""
    unchecked: ClassVar[str]
    """What about the database itself `audit verify` does not look at."""
    beyond_erasure: ClassVar[str]
    """Where the database's own tools may have put what was erased since."""

    # Opening

    @abstractmethod
    def open(self, url: URL, options: Opening) -> Engine:
        """An engine whose transactions begin when they are told to."""

    @abstractmethod
    def file_of(self, url: URL) -> str | None:
        """The path of the database's file; None where it has none."""

    @abstractmethod
    def place_of(self, url: URL) -> str:
        """Where the database is, for messages: a path or an address, never a password."""

    @abstractmethod
    def identity(self, connection: Connection) -> tuple[object, ...]:
        """Which database this is, however it is called."""

    # Transactions

    @abstractmethod
    def snapshot_engine(self, engine: Engine) -> Engine:
        """An engine of whose connections all statements see one moment."""

    @abstractmethod
    def set_patience(self, connection: Connection, seconds: float) -> None:
        """How long the next transaction waits for the database's lock."""

    @abstractmethod
    def fold_alone(self, connection: Connection, seconds: float) -> None:
        """Keep other projectors off until this transaction ends."""

    # Names

    @abstractmethod
    def schema_of(self, connection: Connection) -> str | None:
        """The schema of this connection's tables; None where a database has no schemas."""

    @abstractmethod
    def is_strangers(self, engine: Engine, table: str) -> bool:
        """Whether the read models belong to a role with fewer rights than this login has.

        Whoever owns a table decides what runs in the session that works on it. `table`: one of
        the read models'.
        """

    # The ledger

    @abstractmethod
    def prepare_new(self, engine: Engine) -> None:
        """What a database needs before a ledger's tables are made in it."""

    @abstractmethod
    def make_alone(self, connection: Connection) -> None:
        """Let nobody else make a ledger's tables until this transaction ends."""

    @abstractmethod
    def add_guards(self, connection: Connection) -> None:
        """Make the triggers of the ledger's tables, or bring them up to date."""

    @abstractmethod
    def broken_guards(self, connection: Connection, version: int) -> Iterator[BrokenGuard]:
        """Triggers of the ledger's tables that are gone, changed, switched off, or not ours.

        `version`: of the tables, which may be of older software.
        """

    @abstractmethod
    def overwrite(self, connection: Connection) -> None:
        """From now on this connection overwrites what it deletes, as far as it can be told to."""

    @abstractmethod
    def scrub(self, engine: Engine, tables: Sequence[str]) -> str | None:
        """Leave no earlier copy of the tables' rows in the database's own files.

        What stood in the way, in words; None where nothing did.
        """

    @abstractmethod
    def in_batches(
        self, connection: Connection, statement: Prepared, size: int
    ) -> Iterator[Sequence[Any]]:
        """Rows, a few in memory at a time."""

    @abstractmethod
    def listener(self, engine: Engine, stop: Event) -> Waiting:
        """Whoever waits for appends; setting `stop` ends each wait."""

    @abstractmethod
    def size_bytes(self, connection: Connection) -> int:
        """How large the database is."""

    # Leases and heartbeats

    @abstractmethod
    def lease_now(self, connection: Connection, monotonic: float) -> int:
        """The moment by which leases are judged (µs). `monotonic`: this machine's clock (s)."""

    @abstractmethod
    def lease_clock(self, monotonic: float) -> Any:
        """The same for use in a statement, which may read a server's clock itself."""

    @abstractmethod
    def lock_free_rows(self, statement: Any) -> Any:
        """A SELECT of rows to change, without those that another transaction is changing."""

    # Read models

    @abstractmethod
    def insert(self, table: Table) -> Any:
        """An INSERT that can be told what to do where the row is there."""

    @property
    @abstractmethod
    def stored_instant(self) -> Callable[[datetime], Any]:
        """Converts an aware instant as the driver takes it; the way of writing in bulk."""

    @abstractmethod
    def set_aside_damaged(self, engine: Engine) -> str | None:
        """Where the database is damaged, put an empty one in its place; the path of the old one.

        None where it is sound, or is not a file.

        Raises:
            OSError: its folder may not be written.
        """

    @abstractmethod
    def has_column(self, connection: Connection, table: str, column: str) -> bool:
        """Whether there is such a table with such a column; in lower case, and quickly."""

    @abstractmethod
    def create_table(self, connection: Connection, table: Table) -> None:
        """Make a table that is not there, and its indexes."""

    @abstractmethod
    def rename_table(self, connection: Connection, old: str, new: str) -> None:
        """Rename a table of ours; what views and triggers of others name stays as it was."""

    @abstractmethod
    def triggers_on(self, connection: Connection, table: str) -> list[tuple[str, str]]:
        """Triggers that have to be moved with a table's name: name and statement."""

    @abstractmethod
    def index_names(self, connection: Connection) -> set[str]:
        """The names of indexes that are taken."""

    @abstractmethod
    def in_order_of_bytes(self, column: Column[Any]) -> Any:
        """A column for ORDER BY, in the order that Python has for UTF-8."""


class Tables:
    """Which tables a connection's schema has; nobody else's are meant, and none is guessed."""

    def __init__(self, connection: Connection) -> None:
        self._schema = backend_of(connection).schema_of(connection)
        self._found = inspect(connection)

    def names(self) -> set[str]:
        return set(self._found.get_table_names(schema=self._schema))

    def has(self, name: str) -> bool:
        return self._found.has_table(name, schema=self._schema)

    def columns(self, name: str) -> set[str]:
        return {each["name"] for each in self._found.get_columns(name, schema=self._schema)}

    def primary_key(self, name: str) -> list[str]:
        return self._found.get_pk_constraint(name, schema=self._schema)["constrained_columns"]

    def unique_keys(self, name: str) -> set[tuple[str, ...]]:
        found = self._found.get_unique_constraints(name, schema=self._schema)
        return {tuple(each["column_names"]) for each in found}

    def indexes(self, name: str) -> set[tuple[str | None, ...]]:
        found = self._found.get_indexes(name, schema=self._schema)
        return {tuple(each["column_names"]) for each in found}


def quoted(connection: Connection, name: str) -> str:
    """A table's name for use in SQL that is written by hand: quoted, and with its schema."""
    quote = connection.dialect.identifier_preparer.quote
    schema = backend_of(connection).schema_of(connection)
    return quote(name) if schema is None else f"{quote(schema)}.{quote(name)}"


def backend_of(bind: Engine | Connection) -> Backend:
    """The object that was chosen when this engine was opened."""
    backend: Backend = bind.get_execution_options()[BACKEND]
    return backend
