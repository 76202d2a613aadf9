"""A connection through SQLCipher that raises `sqlite3`'s own errors, so that nobody else differs.

sqlcipher3 is the same driver over another library, with exception classes of its own. A
`Connection` from here stands wherever one of `sqlite3` does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from sqlcipher3 import dbapi2

from ledger.sqlite_driver import error_of

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Self = TypeVar("_Self")


def error_like(error: Exception) -> sqlite3.Error:
    """The same error in `sqlite3`'s words, with its result code."""
    kind: type[sqlite3.Error] = getattr(sqlite3, type(error).__name__, sqlite3.DatabaseError)
    same = kind(*error.args)
    same.sqlite_errorcode = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    same.sqlite_errorname = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    return same


def _translated(
    method: Callable[Concatenate[_Self, _P], _T],
) -> Callable[Concatenate[_Self, _P], _T]:
    def call(self: _Self, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return method(self, *args, **kwargs)
        except dbapi2.Error as error:
            raise error_like(error) from None
        except UnicodeDecodeError as error:
            raise error_of(bytes(error.object)) from None

    return call


class Cursor(dbapi2.Cursor):  # type: ignore[misc]
    """A cursor whose errors are `sqlite3.Error`."""

    execute = _translated(dbapi2.Cursor.execute)
    executemany = _translated(dbapi2.Cursor.executemany)
    executescript = _translated(dbapi2.Cursor.executescript)
    fetchone = _translated(dbapi2.Cursor.fetchone)
    fetchmany = _translated(dbapi2.Cursor.fetchmany)
    fetchall = _translated(dbapi2.Cursor.fetchall)
    __next__ = _translated(dbapi2.Cursor.__next__)


class Connection(dbapi2.Connection):  # type: ignore[misc]
    """A connection whose errors are `sqlite3.Error`."""

    def cursor(self, factory: Any = Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        return self.cursor().executemany(sql, parameters)

    executescript = _translated(dbapi2.Connection.executescript)
    commit = _translated(dbapi2.Connection.commit)
    rollback = _translated(dbapi2.Connection.rollback)
    backup = _translated(dbapi2.Connection.backup)


def connect(uri: str, wait_seconds: float, key: str) -> sqlite3.Connection:
    """Open a database with a key; whether it fits shows at the first read.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    try:
        connection = dbapi2.connect(
            uri,
            uri=True,
            timeout=wait_seconds,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )
    except dbapi2.Error as error:
        raise error_like(error) from None
    connection.execute("PRAGMA cipher_log_level=NONE")  # it would write to standard error
    connection.set_key(key)  # never as SQL: no statement, no trace holds it
    return cast("sqlite3.Connection", connection)
