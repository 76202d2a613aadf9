"""Statements of the hot path: written in SQLAlchemy Core, compiled once, run by the driver.

Building and processing a Core statement costs ten times what SQLite needs to run it. These
few run at every append, so they skip all that; errors are the ones that Core would raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Executable
    from sqlalchemy.engine import Dialect


class Prepared:
    """One statement, compiled once for each kind of database.

    `names`: the columns that an INSERT or UPDATE sets, which are then its parameters.
    """

    def __init__(self, statement: Executable, names: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._names = names
        self._compiled: dict[str, tuple[str, tuple[str, ...] | None]] = {}

    def run(self, connection: Connection, parameters: Mapping[str, Any]) -> Any:
        """Execute once; the driver's cursor."""
        text, order = self._text(connection.dialect)
        return _execute(connection, text, _ordered(parameters, order))

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute for each row, in order."""
        text, order = self._text(connection.dialect)
        _execute(connection, text, [_ordered(row, order) for row in rows], many=True)

    def _text(self, dialect: Dialect) -> tuple[str, tuple[str, ...] | None]:
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._names)  # type: ignore[attr-defined]
            order = tuple(compiled.positiontup) if compiled.positional else None
            found = self._compiled[dialect.name] = (str(compiled), order)
        return found


def _ordered(parameters: Mapping[str, Any], order: tuple[str, ...] | None) -> Any:
    return dict(parameters) if order is None else [parameters[name] for name in order]


def _execute(connection: Connection, text: str, parameters: Any, *, many: bool = False) -> Any:
    dbapi: Any = connection.dialect.loaded_dbapi
    cursor: Any = connection.connection.cursor()
    try:
        if many:
            cursor.executemany(text, parameters)
        else:
            cursor.execute(text, parameters)
    except dbapi.Error as error:
        raise DBAPIError.instance(text, parameters, error, dbapi.Error) from error
    return cursor
