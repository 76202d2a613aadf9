"""Whether a database is sound, and what of it could not be looked at here.

A schema may need collations, functions or modules that only the application has. SQLite then
refuses the whole check; so each table is checked by itself. Where a collation is missing,
`quick_check` runs with one of ours in its place: it never compares by it, so what it says holds.
Such a table stays unchecked all the same, since nobody looked at the order of its indexes.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from commands.sqlite.errors import shown
from ledger.sqlite_driver import any_text

if TYPE_CHECKING:
    from collections.abc import Callable

CHECK_CACHE_KIB = 64 * 1024  # integrity_check looks up index entries at random
DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
MAX_STUBS = 50
"""Collations of one table; more than an application has."""

_NO_COLLATION = re.compile(r"no such collation sequence: (.+)", re.DOTALL)
_OF_THE_ORDER = "row not in PRIMARY KEY order"
"""A finding that comes of a stub collation, not of the table."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class IntegrityReport:
    """What the integrity check came to.

    `problems`: what it found. `unchecked`: names of tables that it could not look at, or not
    whole. `warnings`: why not.
    """

    problems: list[str]
    unchecked: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def integrity_problems(connection: sqlite3.Connection, limit: int = 10) -> list[str]:
    """What PRAGMA integrity_check finds, at most `limit` findings; none when sound.

    Raises:
        sqlite3.Error: anything but damage, as busy or out of memory.
    """
    return check_integrity(connection, limit).problems


def check_integrity(connection: sqlite3.Connection, limit: int = 10) -> IntegrityReport:
    """Check a database as closely as can be done here.

    (Through a read-only connection CHECK constraints are not looked at: SQLite leaves them out.)

    Raises:
        sqlite3.Error: anything but damage, as busy or out of memory.
    """
    connection.execute(f"PRAGMA cache_size=-{CHECK_CACHE_KIB}")
    # Of SQLCipher: each page against its HMAC. To SQLite it is an unknown pragma without rows.
    forged = connection.execute("PRAGMA cipher_integrity_check").fetchmany(limit)
    if forged:
        return IntegrityReport([str(row[0]) for row in forged])
    try:
        return IntegrityReport(_run_check(connection, f"PRAGMA main.integrity_check({int(limit)})"))
    except sqlite3.OperationalError as error:
        if not _is_of_the_schema(error):
            raise
        found = _check_each_table(connection)
        return IntegrityReport(found.problems[:limit], found.unchecked, found.warnings)


def raw_table_names(connection: sqlite3.Connection) -> list[bytes]:
    """Every table's name as the bytes that it is; they need not be UTF-8.

    Raises:
        sqlite3.Error: as SQLite says it.
    """
    rows = connection.execute(
        "SELECT CAST(name AS BLOB) FROM main.sqlite_schema WHERE type='table'"
    ).fetchall()
    return [bytes(name) for (name,) in rows]


def readable(name: bytes) -> str:
    """A name of any bytes as text; what is not UTF-8 stands as escapes."""
    return name.decode("utf-8", "backslashreplace")


def with_stub_collations(connection: sqlite3.Connection, ask: Callable[[], Answer]) -> Answer:
    """Ask a question that does not depend on any order, whatever collations are missing.

    Raises:
        sqlite3.Error: as SQLite says it.
    """
    stubs: list[str] = []
    try:
        while True:
            try:
                return ask()
            except sqlite3.OperationalError as error:
                missing = _NO_COLLATION.fullmatch(str(error))
                if missing is None or missing[1] in stubs or len(stubs) == MAX_STUBS:
                    raise
                stubs.append(missing[1])
                connection.create_collation(missing[1], _by_character)
    finally:
        for name in stubs:
            connection.create_collation(name, None)


def _by_character(one: str, other: str) -> int:
    return (one > other) - (one < other)


def _check_each_table(connection: sqlite3.Connection) -> IntegrityReport:
    found = IntegrityReport([])
    for name in raw_table_names(connection):
        try:
            found.problems.extend(_check_table(connection, "integrity_check", name))
        except sqlite3.OperationalError as error:
            if not _is_of_the_schema(error):
                raise
            found.unchecked.append(readable(name))
            found.warnings.append(_check_quickly(connection, name, error, found.problems))
    return found


def _check_quickly(
    connection: sqlite3.Connection,
    name: bytes,
    reason: sqlite3.OperationalError,
    problems: list[str],
) -> str:
    """Look at a table without its indexes' order; says why it was not checked whole."""
    table = shown(readable(name))
    try:
        seen = with_stub_collations(
            connection, lambda: _check_table(connection, "quick_check", name)
        )
    except sqlite3.OperationalError as error:
        if not _is_of_the_schema(error):
            raise
        return f"table {table} not checked: {shown(reason)}"
    problems += [each for each in seen if not each.startswith(_OF_THE_ORDER)]
    return f"table {table} not checked whole, only without its indexes: {shown(reason)}"


def _check_table(connection: sqlite3.Connection, check: str, name: bytes) -> list[str]:
    return _run_check(connection, f"SELECT * FROM pragma_{check}(CAST(? AS TEXT))", name)  # noqa: S608


def _run_check(connection: sqlite3.Connection, sql: str, *names: bytes) -> list[str]:
    try:
        with any_text(connection):
            rows = connection.execute(sql, names).fetchall()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in DAMAGE_CODES:
            raise
        return [str(error)]
    return [] if rows == [("ok",)] else [str(row[0]) for row in rows]


def _is_of_the_schema(error: sqlite3.Error) -> bool:
    """Whether SQLite lacks something that the schema asks for."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_ERROR
