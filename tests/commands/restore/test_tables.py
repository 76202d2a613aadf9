"""Some tables of a backup, put back: by key, exactly, or beside; all of it or nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from commands.backups.take import take_backup
from commands.errors import BackupNotFound, InvalidArgument, Refused, TargetExists
from commands.recovery.recover import recover
from commands.restore import restore as module
from commands.restore.restore import restore_backup
from commands.restore.tables import TablesWanted, plan_tables
from commands.sqlite.errors import DatabaseBusy
from ledger.events.restoring import (
    RestoreCompleted,
    RestoreFailed,
    RestoreInterrupted,
    RestoreStarted,
    TableRestored,
)
from ledger.vocabulary import TableMode
from tests.commands.conftest import MakeWorld
from tests.commands.world import World, break_database

TABLES = """
CREATE TABLE clients (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE bills (number TEXT PRIMARY KEY, client INTEGER REFERENCES clients (id), sum INTEGER);
CREATE INDEX bills_by_client ON bills (client);
CREATE TABLE words (word TEXT);
INSERT INTO clients VALUES (1, 'ann'), (2, 'ben'), (3, 'cat');
INSERT INTO bills VALUES ('a', 1, 10), ('b', 2, 20), ('c', 3, 30);
INSERT INTO words VALUES ('one'), ('two');
"""
LATER = """
UPDATE clients SET name = NULL WHERE id = 1;
UPDATE clients SET name = 'ann' WHERE id = 2;
UPDATE clients SET name = 'ben' WHERE id = 1;
DELETE FROM bills WHERE number = 'a';
UPDATE bills SET sum = 99 WHERE number = 'b';
INSERT INTO bills VALUES ('d', 3, 40);
DELETE FROM words WHERE word = 'one';
INSERT INTO words VALUES ('three');
"""


def execute(world: World, script: str) -> None:
    with closing(sqlite3.connect(world.database)) as connection:
        connection.executescript(script)


def rows(world: World, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(world.database)) as connection:
        return sorted(connection.execute(f"SELECT * FROM {table}"))


@pytest.fixture
def changed(world: World) -> World:
    """A backup of three tables, and what happened to them since."""
    execute(world, TABLES)
    take_backup(world.site, world.context(), filename="first.db")
    execute(world, LATER)
    return world


def put_back(world: World, *tables: str, mode: TableMode = "in_place") -> Any:
    wanted = TablesWanted(tables, mode)
    return restore_backup(world.site, world.context(), "first.db", tables=wanted)


@pytest.mark.slow
def test_rows_are_put_in_place_and_those_added_since_stay(changed: World) -> None:
    """Values of a unique column that changed places do so again; other tables stay."""
    outcome = put_back(changed, "bills", "clients")
    assert rows(changed, "bills") == [("a", 1, 10), ("b", 2, 20), ("c", 3, 30), ("d", 3, 40)]
    assert rows(changed, "clients") == [(1, "ann"), (2, "ben"), (3, "cat")]
    assert rows(changed, "words") == [("three",), ("two",)]
    assert outcome.pre_restore.is_protected
    (started,) = changed.recorded(RestoreStarted)
    assert started.tables == ["bills", "clients"]
    found = [
        (each.table, each.mode, each.rows_added, each.rows_changed, each.rows_removed)
        for each in changed.recorded(TableRestored)
    ]
    assert found == [("bills", "in_place", 1, 1, 0), ("clients", "in_place", 0, 2, 0)]
    assert changed.recorded(RestoreCompleted) == []  # of a whole backup


@pytest.mark.slow
def test_exactly_as_it_was(changed: World) -> None:
    """Rows added since are gone; a table without a key goes by rowid."""
    put_back(changed, "bills", "words", mode="exact")
    assert rows(changed, "bills") == [("a", 1, 10), ("b", 2, 20), ("c", 3, 30)]
    assert rows(changed, "words") == [("one",), ("two",)]
    assert [each.rows_removed for each in changed.recorded(TableRestored)] == [1, 1]


@pytest.mark.slow
def test_beside_the_others(changed: World) -> None:
    """Under a name of its own, with its keys; nothing else changes. A second time is refused."""
    before = rows(changed, "bills")
    put_back(changed, "bills", mode="beside")
    assert rows(changed, "bills") == before
    assert rows(changed, "bills_restored") == [("a", 1, 10), ("b", 2, 20), ("c", 3, 30)]
    with closing(sqlite3.connect(changed.database)) as connection:
        keys = [row[5] for row in connection.execute("PRAGMA table_info(bills_restored)")]
    assert keys == [1, 0, 0]
    with pytest.raises(TargetExists, match="bills_restored"):
        put_back(changed, "bills", mode="beside")


def test_a_table_that_was_dropped_is_made_again(changed: World) -> None:
    """With its indexes."""
    execute(changed, "DROP TABLE bills")
    put_back(changed, "bills")
    assert len(rows(changed, "bills")) == 3
    with closing(sqlite3.connect(changed.database)) as connection:
        names = [row[1] for row in connection.execute("PRAGMA index_list(bills)")]
    assert "bills_by_client" in names


@pytest.mark.slow
def test_the_plan_says_what_is_then_done(changed: World) -> None:
    """And changes nothing."""
    content = changed.backups / "first.db"
    for mode in ("in_place", "exact", "beside"):
        before = rows(changed, "bills")
        planned = plan_tables(changed.database, content, TablesWanted(("bills",), mode), 1)
        assert rows(changed, "bills") == before
        assert put_back(changed, "bills", mode=mode).tables == planned


@pytest.mark.parametrize(
    ("prepare", "tables", "mode", "error", "problem"),
    [
        ("", ("nothing",), "in_place", BackupNotFound, "no table 'nothing'; it has bills"),
        ("ALTER TABLE bills ADD COLUMN x", ("bills",), "exact", InvalidArgument, "--beside"),
        ("", ("sqlite_schema",), "in_place", BackupNotFound, "no table"),
        ("DELETE FROM clients WHERE id = 1", ("bills",), "in_place", Refused, "1 rows would refer"),
        (
            "DELETE FROM clients WHERE id = 3; INSERT INTO clients VALUES (9, 'cat')",
            ("clients",),
            "in_place",
            Refused,
            "UNIQUE constraint failed",
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON bills BEGIN UPDATE bills SET sum = 0; END",
            ("bills",),
            "in_place",
            Refused,
            "a trigger",
        ),
    ],
)
def test_what_is_in_the_way_leaves_everything_as_it_was(
    changed: World,
    prepare: str,
    tables: tuple[str, ...],
    mode: TableMode,
    error: type[Exception],
    problem: str,
) -> None:
    """Recorded as a restore that failed, with the reason and what to do."""
    execute(changed, prepare)
    before = [rows(changed, each) for each in ("bills", "clients", "words")]
    with pytest.raises(error, match=problem):
        put_back(changed, *tables, mode=mode)
    assert [rows(changed, each) for each in ("bills", "clients", "words")] == before
    (failed,) = changed.recorded(RestoreFailed)
    assert failed.error_type == error.__name__
    assert changed.recorded(TableRestored) == []


@pytest.mark.slow
def test_a_locked_database_is_busy_and_untouched(make_world: MakeWorld) -> None:
    """After the wait that is configured."""
    world = make_world(restore_wait_seconds=0.1)
    take_backup(world.site, world.context(), filename="first.db")
    with closing(sqlite3.connect(world.database)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM cases")
        with pytest.raises(DatabaseBusy):
            put_back(world, "cases")
    assert [each.error_type for each in world.recorded(RestoreFailed)] == ["busy"]


def test_a_damaged_database_takes_no_tables(changed: World) -> None:
    """It gets the whole backup."""
    changed.close()
    break_database(changed.database)
    with pytest.raises(InvalidArgument, match="restore the whole backup"):
        put_back(changed, "bills")


@pytest.mark.slow
@pytest.mark.parametrize("is_done", [True, False])
def test_killed_before_or_after_its_commit_recovery_says_which(
    changed: World, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    """The schema's counter tells, although the schema itself is the same."""

    class Killed(BaseException):
        pass

    put = module.restore_tables

    def killed(*arguments: Any) -> Any:
        if is_done:
            put(*arguments)
        raise Killed

    monkeypatch.setattr(module, "restore_tables", killed)
    with pytest.raises(Killed):
        put_back(changed, "bills")
    changed.reopen()
    recover(changed.site)
    (found,) = changed.recorded(RestoreInterrupted)
    assert found.outcome == ("new" if is_done else "old")
    assert (("a", 1, 10) in rows(changed, "bills")) == is_done


def test_an_open_connection_sees_the_new_rows(changed: World, tmp_path: Path) -> None:
    """The application may stay connected."""
    with closing(sqlite3.connect(changed.database)) as application:
        assert application.execute("SELECT count(*) FROM bills").fetchone() == (3,)
        put_back(changed, "bills")
        assert application.execute("SELECT count(*) FROM bills").fetchone() == (4,)
        application.execute("INSERT INTO bills VALUES ('e', 1, 50)")
        application.commit()
    assert len(rows(changed, "bills")) == 5
