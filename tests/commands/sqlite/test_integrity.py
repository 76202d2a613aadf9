"""What can't be checked here is named, and everything else is checked all the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from commands.sqlite.connections import open_immutable
from commands.sqlite.errors import DamagedDatabase
from commands.sqlite.inspection import TableRows, inspect
from commands.sqlite.integrity import IntegrityReport, check_integrity
from commands.sqlite.snapshot import Engine, take_snapshot
from tests.commands.sqlite_writers import build


def by_case(one: str, other: str) -> int:
    first, second = one.casefold(), other.casefold()
    return (first > second) - (first < second)


def made(path: Path, script: str, collation: str = "odd") -> Path:
    """A database of an application with a function and a collation of its own."""
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("known", 1, lambda _: 1, deterministic=True)
        connection.create_collation(collation, by_case)
        connection.executescript(script)
    return path


def report(path: Path) -> IntegrityReport:
    with closing(open_immutable(path)) as connection:
        return check_integrity(connection)


def test_each_table_is_checked_as_far_as_it_can_be(tmp_path: Path) -> None:
    """SQLite refuses the whole check: a collation and a function are missing here."""
    path = made(
        tmp_path / "x.db",
        "CREATE TABLE t (x COLLATE odd UNIQUE); CREATE TABLE u (x); CREATE TABLE w (x UNIQUE);"
        "CREATE INDEX i ON u (known(x)); INSERT INTO t VALUES ('a'); INSERT INTO u VALUES (1);",
    )
    found = report(path)
    assert found.problems == []
    assert found.unchecked == ["t", "u"]
    assert [warning.partition(":")[2] for warning in found.warnings] == [
        " no such collation sequence: odd",
        " unknown function: known()",
    ]
    assert inspect(path).row_count == 2


def test_rows_in_the_order_of_a_missing_collation_are_counted(tmp_path: Path) -> None:
    """A table without rowids stands in that order; counting asks for none."""
    path = made(
        tmp_path / "x.db",
        "CREATE TABLE t (x TEXT COLLATE odd PRIMARY KEY) WITHOUT ROWID;"
        "INSERT INTO t VALUES ('B'), ('a'), ('C');",
    )
    found = report(path)
    assert (found.problems, found.unchecked) == ([], ["t"])
    assert inspect(path).tables == (TableRows("t", 3),)
    assert inspect(path).uncounted == ()


def test_damage_is_found_beside_a_missing_collation(tmp_path: Path) -> None:
    """What can be checked is."""
    path = made(
        tmp_path / "x.db",
        "PRAGMA page_size=512; CREATE TABLE t (x COLLATE odd UNIQUE); CREATE TABLE w (x);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
        "INSERT INTO w SELECT randomblob(400) FROM n;",
    )
    content = bytearray(path.read_bytes())
    content[512 * 30 : 512 * 32] = b"\xee" * 1024
    path.write_bytes(content)
    found = report(path)
    assert found.problems
    assert found.unchecked == ["t"]


def test_the_table_is_counted_not_an_index_that_lost_a_row(tmp_path: Path) -> None:
    """An application that replaced NOCASE has indexes that ours finds wrong."""
    rows = ", ".join(f"('{'Ä' if number % 2 else 'ä'}{number}')" for number in range(200))
    path = made(
        tmp_path / "x.db",
        "CREATE TABLE p (name TEXT COLLATE nocase); CREATE INDEX pn ON p (name);"
        f"INSERT INTO p VALUES {rows};",
        "NOCASE",
    )
    found = report(path)
    assert 1 <= len(found.problems) <= 10
    assert found.unchecked == []
    assert inspect(path).row_count == 200


NAME = b'caf\xe9 "x"'


def with_a_name_of_bytes(path: Path) -> Path:
    quoted = NAME.replace(b'"', b'""')
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE t (x); CREATE TABLE later (x);")
        connection.execute("INSERT INTO later VALUES (1), (2), (3)")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET name=CAST(:name AS TEXT), tbl_name=CAST(:name AS TEXT), "
            "sql=CAST(:sql AS TEXT) WHERE name='later'",
            {"name": NAME, "sql": b'CREATE TABLE "%s" (x)' % quoted},
        )
        connection.commit()
    return path


def test_a_table_name_that_is_not_utf_8_is_counted(tmp_path: Path) -> None:
    """It is carried as the bytes that it is, and shown with escapes."""
    path = with_a_name_of_bytes(tmp_path / "x.db")
    assert inspect(path).tables == (TableRows('caf\\xe9 "x"', 3), TableRows("t", 0))
    assert inspect(path).uncounted == ()


@pytest.mark.parametrize("engine", ["copy", "backup_api"])
def test_a_database_with_a_name_of_bytes_is_backed_up(tmp_path: Path, engine: Engine) -> None:
    """Whole, and with nothing unchecked."""
    path = with_a_name_of_bytes(tmp_path / "x.db")
    snapshot = take_snapshot(path, tmp_path / "copy.db", engine=engine)
    assert (snapshot.row_count, snapshot.findings, snapshot.unchecked) == (3, (), ())


def test_a_flawed_database_is_copied_and_its_findings_come_along(tmp_path: Path) -> None:
    """Damaged in a table: that one is not counted, the others are."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "PRAGMA page_size=512; CREATE TABLE good (x); INSERT INTO good VALUES (1);"
            "CREATE TABLE bad (x);"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
            "INSERT INTO bad SELECT randomblob(400) FROM n;"
        )
    content = bytearray(path.read_bytes())
    content[512 * 30 : 512 * 90] = b"\xee" * (512 * 60)
    path.write_bytes(content)
    snapshot = take_snapshot(path, tmp_path / "copy.db")
    assert snapshot.findings
    assert "bad" in snapshot.unchecked
    assert TableRows("good", 1) in snapshot.tables


@pytest.mark.parametrize("engine", ["copy", "backup_api"])
def test_damaged_source_is_copied_and_its_findings_come_along(
    tmp_path: Path, engine: Engine
) -> None:
    """A copy of a flawed database is better than none: page for page what is there."""
    source, staged = build(tmp_path / "x.db", journal="delete", page_size=1024), tmp_path / "s.db"
    damaged = bytearray(source.read_bytes())
    damaged[100 * 1024 : 140 * 1024] = b"\xee" * (40 * 1024)
    source.write_bytes(damaged)
    snapshot = take_snapshot(source, staged, engine=engine)
    assert 1 <= len(snapshot.findings) <= 10
    assert staged.read_bytes()[1024:] == source.read_bytes()[1024:]


@pytest.mark.parametrize("engine", ["copy", "backup_api"])
def test_source_without_a_readable_schema_is_an_error_and_nothing_is_left(
    tmp_path: Path, engine: Engine
) -> None:
    """Nobody knows what its tables are; the message says what SQLite said."""
    source, staged = build(tmp_path / "x.db", journal="delete", page_size=1024), tmp_path / "s.db"
    damaged = bytearray(source.read_bytes())
    damaged[100:1024] = b"\xee" * 924
    source.write_bytes(damaged)
    with pytest.raises(DamagedDatabase, match=r"x\.db is damaged: database disk image"):
        take_snapshot(source, staged, engine=engine)
    assert [each.name for each in tmp_path.iterdir()] == ["x.db"]
