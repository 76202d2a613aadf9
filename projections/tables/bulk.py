"""Writing many rows of one table: values converted by column, the statement run by the driver.

SQLAlchemy spends more on the parameters of a large INSERT than SQLite on running it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON
from sqlalchemy.dialects import postgresql, sqlite

from ledger.append.prepared import Prepared
from projections.tables.columns import PlainText, UtcDateTime, plain, stored_instant

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
        self._converters: dict[str, Converters] = {}

    def write(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Write rows whose values come in the order of the table's columns."""
        if not rows:
            return
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        for place, convert in self._for(connection.dialect):
            columns[place] = [None if value is None else convert(value) for value in columns[place]]
        converted = list(zip(*columns, strict=True))
        self._statements[connection.dialect.name].run_rows(connection, converted)

    def _for(self, dialect: Dialect) -> Converters:
        found = self._converters.get(dialect.name)
        if found is None:
            found = self._converters[dialect.name] = [
                (place, convert)
                for place, column in enumerate(self._table.columns)
                if (convert := _converter(column.type, dialect)) is not None
            ]
        return found

    @cached_property
    def _statements(self) -> dict[str, Prepared]:
        return {
            name: self._statement(dialect.insert)
            for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
        }

    def _statement(self, insert: Callable[..., Any]) -> Prepared:
        names = self._table.columns.keys()
        statement = insert(self._table)
        if self._keys:
            others = {name: statement.excluded[name] for name in names if name not in self._keys}
            statement = statement.on_conflict_do_update(
                index_elements=list(self._keys), set_=others
            )
        return Prepared(statement, names)


def _converter(kind: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    if isinstance(kind, UtcDateTime):
        return stored_instant(dialect.name)
    if isinstance(kind, PlainText):
        return plain
    if isinstance(kind, JSON):
        # The driver's own kind of JSON: psycopg takes a list for an array otherwise.
        own: Any = kind.dialect_impl(dialect)
        process: Callable[[Any], Any] = own.bind_processor(dialect)
        return process
    return None
