"""What differs between two databases, row by row, checked against rows that are known."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.restore.difference import Difference, RowChange, TableDifference, comparing
from commands.sqlite.errors import NotADatabase, SourceMissing

SCHEMA = """
CREATE TABLE cases (id INTEGER PRIMARY KEY, title TEXT COLLATE NOCASE, note BLOB);
CREATE TABLE pairs (a TEXT, b INTEGER, value TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID;
CREATE TABLE [odd "name"] (word TEXT);
CREATE TABLE backup_settings (id INTEGER PRIMARY KEY);
"""


def made(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
        for each in statements:
            connection.executescript(each)
        connection.commit()
    return path


def compared(old: Path, new: Path) -> Difference:
    with comparing(old, new, live_wait_seconds=1) as comparison:
        return comparison.everything()


def rows_of(old: Path, new: Path, table: str, limit: int | None = None) -> list[RowChange]:
    with comparing(old, new, live_wait_seconds=None) as comparison:
        return list(comparison.rows(table, limit))


def test_rows_are_told_apart_by_their_keys(tmp_path: Path) -> None:
    """One key or two, or rowid; a difference of case counts whatever the collation."""
    rows = "INSERT INTO cases VALUES (1, 'one', NULL), (2, 'two', x'00'), (3, 'three', 'x');"
    pairs = "INSERT INTO pairs VALUES ('a', 1, 'x'), ('b', 1, 'y');"
    words = "INSERT INTO [odd \"name\"] VALUES ('one'), ('two');"
    old = made(tmp_path / "old.db", rows, pairs, words)
    new = made(
        tmp_path / "new.db",
        "INSERT INTO cases VALUES (1, 'ONE', NULL), (3, 'three', 'x'), (4, 'four', NULL);",
        "INSERT INTO pairs VALUES ('a', 1, 'x'), ('b', 1, NULL), ('a', 2, 'z');",
        words,
    )
    assert compared(old, new).tables == [
        TableDifference("cases", added=1, removed=1, changed=1),
        TableDifference('odd "name"'),
        TableDifference("pairs", added=1, changed=1),
    ]
    assert rows_of(old, new, "cases") == [
        RowChange({"id": 2}, {"id": 2, "title": "two", "note": "X'00'"}, None),
        RowChange({"id": 4}, None, {"id": 4, "title": "four", "note": None}),
        RowChange({"id": 1}, {"title": "one"}, {"title": "ONE"}),
    ]
    assert rows_of(old, new, "pairs")[1] == RowChange(
        {"b": 1, "a": "b"}, {"value": "y"}, {"value": None}
    )


def test_a_table_that_only_one_of_them_has_and_columns_that_differ(tmp_path: Path) -> None:
    """All rows of the one count; of the other table the common columns are compared."""
    old = made(tmp_path / "old.db", "CREATE TABLE gone (x); INSERT INTO gone VALUES (1), (2);")
    new = made(
        tmp_path / "new.db",
        "CREATE TABLE fresh (x); INSERT INTO fresh VALUES (1);",
        "ALTER TABLE cases ADD COLUMN due TEXT;",
    )
    found = {each.name: each for each in compared(old, new).tables}
    assert found["gone"] == TableDifference("gone", removed=2, only_in="old")
    assert found["fresh"] == TableDifference("fresh", added=1, only_in="new")
    assert found["cases"].columns == ("due",)
    assert "backup_settings" not in found


def test_another_primary_key_cannot_be_compared_and_says_so(tmp_path: Path) -> None:
    """The other tables still are."""
    old = made(tmp_path / "old.db", "CREATE TABLE other (id INTEGER PRIMARY KEY, x);")
    new = made(tmp_path / "new.db", "CREATE TABLE other (id INTEGER, x PRIMARY KEY);")
    found = compared(old, new)
    assert found.not_compared == {"other": "its primary key is not the same in both"}
    assert len(found.tables) == 3


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    """By its own name, whichever of the two it is."""
    whole = made(tmp_path / "whole.db")
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database at all " * 100)
    for old, new, error in [(broken, whole, NotADatabase), (whole, tmp_path / "x", SourceMissing)]:
        with pytest.raises(error, match=r"broken\.db|/x"):
            compared(old, new)


rows = st.dictionaries(st.integers(1, 8), st.sampled_from(["a", "A", None, 1, 1.5, b"\x00"]))


@settings(deadline=None, max_examples=30)
@given(rows, rows)
def test_counts_are_those_of_two_dictionaries(
    before: dict[int, object], after: dict[int, object]
) -> None:
    """Whatever the values are."""
    import tempfile  # noqa: PLC0415 - Hypothesis and tmp_path do not go together

    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, content in (("old", before), ("new", after)):
            path = made(Path(folder) / f"{name}.db")
            with closing(sqlite3.connect(path)) as connection:
                connection.executemany(
                    "INSERT INTO cases (id, note) VALUES (?, ?)", list(content.items())
                )
                connection.commit()
            paths.append(path)
        (found, *_others) = compared(*paths).tables
    both = before.keys() & after.keys()
    assert found == TableDifference(
        "cases",
        added=len(after.keys() - before.keys()),
        removed=len(before.keys() - after.keys()),
        changed=sum(before[each] != after[each] for each in both),
    )
