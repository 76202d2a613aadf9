"""Statements of the hot path: written in SQLAlchemy Core, compiled once, run by the driver.

Building and processing a Core statement costs ten times what SQLite needs to run it. These
few run at every append, so they skip all that; errors are the ones that Core would raise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, bindparam, cast, func, select
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Executable
    from sqlalchemy.engine import Dialect

DRIVER = "ledger_driver"
"""Execution option: the driver's connection, of a connection whose transaction stays open."""

NOTHING: Mapping[str, Any] = {}

_NAMED = re.compile(r"%\((\w+)\)s")
"""A parameter of a server's driver; with b in place of s it is sent as it is stored."""


class Prepared:
    """One statement, compiled once for each kind of database.

    `names`: the columns that an INSERT or UPDATE sets, which are then its parameters.
    """

    def __init__(self, statement: Executable, names: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._names = names
        self._compiled: dict[str | None, _Compiled] = {}
        # By schema; a file has none.

    @property
    def statement(self) -> Executable:
        """The same for those who need all that Core offers."""
        return self._statement

    def run(self, connection: Connection, parameters: Mapping[str, Any] = NOTHING) -> Any:
        """Execute once; the driver's cursor."""
        compiled = self._for(connection)
        return _execute(connection, compiled.text, compiled.bind(parameters))

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute for each row, in order."""
        compiled = self._for(connection)
        _execute(connection, compiled.text, [compiled.bind(row) for row in rows], many=True)

    def run_rows(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows of values, which come in the order of `names`, and are inserted in theirs.

        A server gets them as one array for each column.
        """
        compiled = self._for(connection)
        names = tuple(self._names or ())
        if compiled.order is not None:
            assert compiled.order == names
            _execute(connection, compiled.text, rows, many=True)
        elif len(rows) == 1:
            _execute(connection, compiled.text, dict(zip(names, rows[0], strict=True)))
        elif rows:
            if compiled.of_arrays is None:
                statement = _of_arrays(self._statement, names, connection.dialect)
                text = self._compile(connection, statement, None).text
                compiled.of_arrays = _NAMED.sub(r"%(\1)b", text)
            columns = map(list, zip(*rows, strict=True))
            _execute(connection, compiled.of_arrays, dict(zip(names, columns, strict=True)))

    def _for(self, connection: Connection) -> _Compiled:
        schema = _schema(connection)
        found = self._compiled.get(schema)
        if found is None:
            found = self._compile(connection, self._statement, self._names)
            self._compiled[schema] = found
        return found

    def _compile(
        self, connection: Connection, statement: Any, names: Sequence[str] | None
    ) -> _Compiled:
        schema = _schema(connection)
        compiled = statement.compile(
            dialect=connection.dialect,
            column_keys=names,
            schema_translate_map=None if schema is None else {None: schema},
            render_schema_translate=schema is not None,
        )
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        order = tuple(compiled.positiontup) if compiled.positional else None
        return _Compiled(str(compiled), order, constants)


@dataclass(slots=True)
class _Compiled:
    """SQL for one kind of database. `order`: of positional parameters, None where named.

    `of_arrays`: of an INSERT, the same for many rows at once; made when it is first asked for.
    """

    text: str
    order: tuple[str, ...] | None
    constants: dict[str, Any]
    of_arrays: str | None = None

    def bind(self, parameters: Mapping[str, Any]) -> Any:
        values = {**self.constants, **parameters} if self.constants else parameters
        if self.order is None:
            return dict(values)
        return list(map(values.__getitem__, self.order)) if self.order else ()


def _schema(connection: Connection) -> str | None:
    schemas = connection.get_execution_options().get("schema_translate_map")
    return None if schemas is None else schemas[None]


def _of_arrays(statement: Any, names: Sequence[str], dialect: Dialect) -> Any:
    """An INSERT of rows that come as an array for each column, in order."""
    from sqlalchemy.dialects.postgresql import ARRAY  # noqa: PLC0415  (takes long to import)

    def plain(column: Any) -> Any:
        kind = column.type.dialect_impl(dialect)
        return Text() if getattr(kind, "collation", None) else kind

    arrays = [cast(bindparam(name), ARRAY(plain(statement.table.columns[name]))) for name in names]
    rows = func.unnest(*arrays).table_valued(*names, name="rows").render_derived()
    return statement.from_select(names, select(*(rows.columns[name] for name in names)))


def driver_of(connection: Connection) -> Any:
    """The driver's own connection."""
    return connection.connection.driver_connection


def _execute(connection: Connection, text: str, parameters: Any, *, many: bool = False) -> Any:
    driver = connection.get_execution_options().get(DRIVER)
    if driver is None:
        if not connection.in_transaction():
            connection.begin()  # as Core does: all that a connection reads is of one snapshot
        driver = driver_of(connection)
    cursor = driver.cursor()
    try:
        if many:
            cursor.executemany(text, parameters)
        else:
            cursor.execute(text, parameters)
    except Exception as error:
        dbapi: Any = connection.dialect.loaded_dbapi
        if not isinstance(error, dbapi.Error):
            raise
        is_lost = connection.dialect.is_disconnect(error, driver, cursor)
        if is_lost:
            connection.invalidate(error)
        raise DBAPIError.instance(
            text, parameters, error, dbapi.Error, connection_invalidated=is_lost
        ) from error
    return cursor
