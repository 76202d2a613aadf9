"""Writing many rows of one table: values converted by column, the statement run by the driver.

SQLAlchemy spends more on the parameters of a large INSERT than SQLite on running it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON

from ledger.append.backend import Backend, backend_of
from ledger.append.prepared import Prepared
from projections.tables.columns import PlainText, UtcDateTime, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Table
    from sqlalchemy.engine import Dialect

    Converters = list[tuple[int, Callable[[Any], Any]]]


class BulkWriter:
    """INSERTs into a table. `keys`: rows with the same values there are replaced."""

    def __init__(self, table: Table, keys: tuple[str, ...] = ()) -> None:
        self._table = table
        self._keys = keys
        self._ways: dict[str, tuple[Prepared, Converters]] = {}

    def write(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Write rows whose values come in the order of the table's columns."""
        if not rows:
            return
        statement, converters = self._for(connection)
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        for place, convert in converters:
            columns[place] = [None if value is None else convert(value) for value in columns[place]]
        statement.run_rows(connection, list(zip(*columns, strict=True)))

    def _for(self, connection: Connection) -> tuple[Prepared, Converters]:
        backend = backend_of(connection)
        way = self._ways.get(backend.name)
        if way is None:
            converters = [
                (place, convert)
                for place, column in enumerate(self._table.columns)
                if (convert := _converter(column.type, connection.dialect, backend)) is not None
            ]
            way = self._ways[backend.name] = self._statement(backend), converters
        return way

    def _statement(self, backend: Backend) -> Prepared:
        names = self._table.columns.keys()
        statement = backend.insert(self._table)
        if self._keys:
            others = {name: statement.excluded[name] for name in names if name not in self._keys}
            statement = statement.on_conflict_do_update(
                index_elements=list(self._keys), set_=others
            )
        return Prepared(statement, names)


@lru_cache(maxsize=64)  # a rebuild has tables of its own, which go again
def writer_of(table: Table, keys: tuple[str, ...]) -> BulkWriter:
    """The writer of a table: its statements are made once, however many read models there are."""
    return BulkWriter(table, keys)


def _converter(kind: Any, dialect: Dialect, backend: Backend) -> Callable[[Any], Any] | None:
    if isinstance(kind, UtcDateTime):
        return backend.stored_instant
    if isinstance(kind, PlainText):
        return plain
    if isinstance(kind, JSON):
        # The driver's own kind of JSON: psycopg takes a list for an array otherwise.
        own: Any = kind.dialect_impl(dialect)
        process: Callable[[Any], Any] = own.bind_processor(dialect)
        return process
    return None
