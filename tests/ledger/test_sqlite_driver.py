"""Whatever bytes SQLite quotes in a message, an error is an error of the driver's own kind."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError

from ledger.append.database import open_engine
from ledger.sqlite_driver import Connection, error_of

FOREIGN = b"CREAT\x8a TABLE"


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A database whose schema holds bytes that are not UTF-8, where SQLite quotes them."""
    path = tmp_path / "damaged.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE cases (id)")
    whole = path.read_bytes()
    assert whole.count(b"CREATE TABLE") == 1
    path.write_bytes(whole.replace(b"CREATE TABLE", FOREIGN))
    return path


def connected(path: Path) -> Connection:
    return sqlite3.connect(path, factory=Connection)


ASK: dict[str, Callable[[Connection], Any]] = {
    "connection.execute": lambda c: c.execute("SELECT 1 FROM cases"),
    "connection.executemany": lambda c: c.executemany("DELETE FROM cases WHERE id=?", [(1,)]),
    "connection.executescript": lambda c: c.executescript("SELECT 1 FROM cases"),
    "cursor.execute": lambda c: c.cursor().execute("SELECT 1 FROM cases"),
    "cursor.executescript": lambda c: c.cursor().executescript("SELECT 1 FROM cases"),
    "pragma": lambda c: c.execute("PRAGMA integrity_check"),
}


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
def test_damaged_schema_is_a_database_error(
    damaged: Path, ask: Callable[[Connection], Any]
) -> None:
    """The bytes are shown, the result code says damage; it is never a UnicodeDecodeError."""
    with closing(connected(damaged)) as connection:
        with pytest.raises(sqlite3.DatabaseError, match=r'near "CREAT\\x8a"') as caught:
            ask(connection)
        assert caught.value.sqlite_errorcode == sqlite3.SQLITE_CORRUPT


def test_constraint_with_a_foreign_name_is_an_error_too(tmp_path: Path) -> None:
    """Not only damage quotes bytes: names in a sound schema need not be UTF-8 either."""
    path = tmp_path / "names.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE cases (id CONSTRAINT plain CHECK (id > 0))")
    path.write_bytes(path.read_bytes().replace(b" plain ", b" pl\xff\xfen "))
    with closing(connected(path)) as connection:
        connection.execute("INSERT INTO cases VALUES (1)")
        with pytest.raises(sqlite3.Error, match=r"CHECK constraint failed: pl\\xff\\xfen"):
            connection.execute("INSERT INTO cases VALUES (-1)")


def test_rows_come_as_from_the_plain_driver(tmp_path: Path) -> None:
    """Nothing but errors is different, also for SQLAlchemy's use of cursors."""
    with closing(connected(tmp_path / "sound.db")) as connection:
        connection.execute("CREATE TABLE cases (id)")
        connection.executemany("INSERT INTO cases VALUES (?)", [(1,), (2,), (3,)])
        connection.commit()
        cursor = connection.execute("SELECT id FROM cases ORDER BY id")
        assert cursor.fetchone() == (1,)
        assert cursor.fetchmany(1) == [(2,)]
        assert list(cursor) == [(3,)]


def test_sqlalchemy_hears_of_it_as_its_own_error(damaged: Path) -> None:
    """The ledger and the read models are opened by the same driver."""
    engine = open_engine(URL.create("sqlite", database=str(damaged)))
    with pytest.raises(DatabaseError, match="malformed database schema"), engine.connect() as one:
        one.exec_driver_sql("SELECT 1 FROM cases")
    engine.dispose()


def test_other_messages_keep_the_general_code() -> None:
    """Only the message of a damaged schema says that the file is damaged."""
    assert error_of(b"no such table: \xff").sqlite_errorcode == sqlite3.SQLITE_ERROR
    assert str(error_of(b"no such table: \xff")) == "no such table: \\xff"
    assert error_of(b"malformed JSON \xff").sqlite_errorcode == sqlite3.SQLITE_ERROR
