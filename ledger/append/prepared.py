"""Statements of the hot path: written in SQLAlchemy Core, compiled once, run by the driver.

Building and processing a Core statement costs ten times what SQLite needs to run it. These
few run at every append, so they skip all that; errors are the ones that Core would raise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Executable


DRIVER = "ledger_driver"
"""Execution option: the driver's connection, of a connection whose transaction stays open."""

NOTHING: Mapping[str, Any] = {}


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
        """Execute for each row of values, which come in the order of `names`."""
        compiled = self._for(connection)
        names = self._names or ()
        if compiled.order is None:
            values: Sequence[Any] = [dict(zip(names, row, strict=True)) for row in rows]
        else:
            assert compiled.order == tuple(names)
            values = rows
        _execute(connection, compiled.text, values, many=True)

    def _for(self, connection: Connection) -> _Compiled:
        schemas = connection.get_execution_options().get("schema_translate_map")
        schema = None if schemas is None else schemas[None]
        found = self._compiled.get(schema)
        if found is None:
            compiled: Any = self._statement.compile(  # type: ignore[attr-defined]
                dialect=connection.dialect,
                column_keys=self._names,
                schema_translate_map=None if schema is None else {None: schema},
                render_schema_translate=schema is not None,
            )
            constants = {
                name: value for name, value in compiled.params.items() if value is not None
            }
            order = tuple(compiled.positiontup) if compiled.positional else None
            found = self._compiled[schema] = _Compiled(str(compiled), order, constants)
        return found


@dataclass(frozen=True, slots=True)
class _Compiled:
    """SQL for one kind of database. `order`: of positional parameters, None where named."""

    text: str
    order: tuple[str, ...] | None
    constants: dict[str, Any]

    def bind(self, parameters: Mapping[str, Any]) -> Any:
        values = {**self.constants, **parameters} if self.constants else parameters
        if self.order is None:
            return dict(values)
        return list(map(values.__getitem__, self.order)) if self.order else ()


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
