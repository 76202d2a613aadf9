r"""SQLite's errors as text, whatever bytes they quote.

SQLite quotes a damaged schema in its message as the bytes are. Python's driver decodes messages
as strict UTF-8, so such a message reaches the caller as a UnicodeDecodeError, which no handler of
`sqlite3.Error` catches. Every connection of this project is a `Connection` from here: it raises
the error that the driver was about to raise, with what cannot be decoded shown as \xNN.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Self = TypeVar("_Self")

_DAMAGED_SCHEMA = b"malformed database schema"


def error_of(message: bytes) -> sqlite3.DatabaseError:
    """The driver's error for a message of SQLite's that is not UTF-8.

    Its result code is lost by then; the one message that quotes the file itself is that of a
    damaged schema (sqlite3CorruptSchema), which is SQLITE_CORRUPT.
    """
    text = message.decode("utf-8", "backslashreplace")
    error: sqlite3.DatabaseError
    if message.startswith(_DAMAGED_SCHEMA):
        error = sqlite3.DatabaseError(text)
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT"
    else:
        error = sqlite3.OperationalError(text)
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_ERROR, "SQLITE_ERROR"
    return error


def _decoded(
    method: Callable[Concatenate[_Self, _P], _T],
) -> Callable[Concatenate[_Self, _P], _T]:
    def call(self: _Self, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return method(self, *args, **kwargs)
        except UnicodeDecodeError as error:
            raise error_of(bytes(error.object)) from None

    return call


class Cursor(sqlite3.Cursor):
    """A cursor whose errors are `sqlite3.Error`, always."""

    execute = _decoded(sqlite3.Cursor.execute)
    executemany = _decoded(sqlite3.Cursor.executemany)
    executescript = _decoded(sqlite3.Cursor.executescript)
    fetchone = _decoded(sqlite3.Cursor.fetchone)
    fetchmany = _decoded(sqlite3.Cursor.fetchmany)
    fetchall = _decoded(sqlite3.Cursor.fetchall)


class Connection(sqlite3.Connection):
    """A connection whose errors are `sqlite3.Error`, always; give it as `factory`."""

    def cursor(self, factory: Any = Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor = self.cursor()
        return cursor.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor = self.cursor()
        return cursor.executemany(sql, parameters)

    executescript = _decoded(sqlite3.Connection.executescript)
    commit = _decoded(sqlite3.Connection.commit)
    rollback = _decoded(sqlite3.Connection.rollback)
    backup = _decoded(sqlite3.Connection.backup)


@contextmanager
def any_text(connection: Any, errors: str = "replace") -> Iterator[None]:
    """Read text of any bytes, also where it is not UTF-8. `errors`: as of `bytes.decode`."""
    before = connection.text_factory
    connection.text_factory = lambda data: data.decode("utf-8", errors)
    try:
        yield
    finally:
        connection.text_factory = before
