"""backup diff, and backup restore --table."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.acceptance.place import Place


def execute(place: Place, sql: str) -> None:
    with closing(sqlite3.connect(place.database)) as connection:
        connection.executescript(sql)


def test_a_difference_is_shown_and_then_put_right(place: Place) -> None:
    """Tables, then rows; a plan, then the table as it was, and the difference is gone."""
    execute(place, "CREATE TABLE bills (id INTEGER PRIMARY KEY, sum INTEGER)")
    execute(place, "INSERT INTO bills VALUES (1, 10), (2, 20)")
    place.done("backup", "create", "first")
    execute(place, "UPDATE bills SET sum = 99 WHERE id = 2; INSERT INTO bills VALUES (3, 30)")
    before = place.types()

    found = place.json("backup", "diff", "first")["tables"]
    assert {"name": "bills", "added": 1, "removed": 0, "changed": 1, "only_in": None} in found
    said = place.done("backup", "diff", "first", "live").out
    assert "without a difference, from first.db to live." in said
    (table,) = place.json("backup", "diff", "first", "--table", "bills")["tables"]
    assert table["rows"] == [
        {"change": "added", "key": {"id": 3}, "before": None, "after": {"id": 3, "sum": 30}},
        {"change": "changed", "key": {"id": 2}, "before": {"sum": 20}, "after": {"sum": 99}},
    ]
    assert "~ id 2: sum 20 -> 99" in place.done("backup", "diff", "latest", "--table", "bills").out
    assert place.run("backup", "diff", "first", "--table", "nothing").code == 4

    planned = place.json("backup", "restore", "first", "--table", "bills", "--exact", "--plan")
    assert planned["tables"][0]["rows_removed"] == 1
    said = place.done("backup", "restore", "first", "--table", "bills", "--plan").out
    assert "rows added since stay" in said
    assert place.types() == before  # questions record nothing
    done = place.done("backup", "restore", "first", "--table", "bills", "--exact", "--yes")
    assert "Restored table bills: 0 rows added, 1 changed, 1 removed" in done.out
    assert "What was there before is kept as pre_restore_backup_" in done.out
    assert place.types()[-2:] == ["backup_restore.started", "backup_restore.table_restored"]
    same = place.json("backup", "diff", "first")["tables"]
    assert not any(each["added"] or each["changed"] for each in same)


def test_two_backups_are_compared(place: Place) -> None:
    """The older one first; a table that only one of them has is named with it."""
    place.done("backup", "create", "first")
    execute(place, "CREATE TABLE fresh (x); INSERT INTO fresh VALUES (1)")
    place.done("backup", "create", "second")
    found = place.json("backup", "diff", "first", "second")["tables"]
    (fresh,) = [each for each in found if each["name"] == "fresh"]
    assert (fresh["added"], fresh["only_in"]) == (1, "second.db")
    assert place.run("backup", "diff", "first", "third").code == 4


def test_options_that_contradict_each_other_are_usage(place: Place) -> None:
    """Before anything is opened."""
    place.done("backup", "create", "first")
    for options in (
        ["--beside"],
        ["--table", "cases", "--beside", "--exact"],
        ["--table", "cases", "--to", str(place.folder / "x.db")],
    ):
        assert place.run("backup", "restore", "first", *options, "--yes").code == 2
