"""A backup of another application never replaces a database by mistake."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from commands.backups.take import take_backup
from commands.errors import OtherSource, exit_code_of
from commands.recovery.reconcile import reconcile
from commands.restore.plan import plan_restore
from commands.restore.restore import restore_backup
from ledger.events.restoring import RestoreCompleted, RestoreFailed, RestoreStarted
from tests.commands.world import World, add_case, break_database, titles_in


def adopt(world: World, name: str, script: str) -> None:
    """Put a database that this site never made into the backups folder."""
    site, path = world.site, world.backups / name
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    os.utime(path, (1_600_000_000, 1_600_000_000))
    assert name in reconcile(site, world.context()).adopted


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}


def test_backup_of_another_application_is_refused_and_nothing_is_touched(world: World) -> None:
    """Recorded as a failure; no copy of the current content is made for it."""
    adopt(world, "wiki.db", "CREATE TABLE pages (text); INSERT INTO pages VALUES ('x')")
    assert plan_restore(world.site, "wiki.db").is_foreign
    before = titles_in(world.database)
    with pytest.raises(OtherSource, match="--force") as caught:
        restore_backup(world.site, world.context(), "wiki.db")
    assert exit_code_of(caught.value) == 5
    assert titles_in(world.database) == before
    assert world.files() == {"wiki.db"}
    assert [each.error_type for each in world.recorded(RestoreFailed)] == ["OtherSource"]


@pytest.mark.slow
def test_it_can_be_forced_and_written_elsewhere(world: World) -> None:
    """Forced, the former content is kept all the same."""
    adopt(world, "wiki.db", "CREATE TABLE pages (text); INSERT INTO pages VALUES ('x')")
    elsewhere = world.folder / "look.db"
    restore_backup(world.site, world.context(), "wiki.db", to=elsewhere)
    assert tables(elsewhere) == {"pages"}
    outcome = restore_backup(world.site, world.context(), "wiki.db", force=True)
    assert tables(world.database) == {"pages"}
    assert outcome.pre_restore is not None
    assert [each.forced for each in world.recorded(RestoreStarted)] == [False, True]
    assert [each.forced for each in world.recorded(RestoreCompleted)] == [False, True]


@pytest.mark.slow
def test_older_schema_of_the_same_application_is_restored(world: World) -> None:
    """An adopted file with a table in common, whatever else was migrated since."""
    adopt(world, "old.db", "CREATE TABLE Cases (id INTEGER PRIMARY KEY); CREATE TABLE gone (x)")
    assert not plan_restore(world.site, "old.db").is_foreign
    restore_backup(world.site, world.context(), "old.db")
    assert tables(world.database) == {"Cases", "gone"}


def test_own_backup_is_restored_though_every_table_was_renamed(world: World) -> None:
    """It was made of this very database."""
    take_backup(world.site, world.context(), filename="first.db")
    with closing(sqlite3.connect(world.database)) as connection:
        connection.execute("ALTER TABLE cases RENAME TO files")
    restore_backup(world.site, world.context(), "first.db")
    assert tables(world.database) == {"cases"}


def test_damaged_database_has_nothing_to_compare_with(world: World) -> None:
    """Then any backup will do."""
    adopt(world, "wiki.db", "CREATE TABLE pages (text); INSERT INTO pages VALUES ('x')")
    add_case(world.database, "one more")
    break_database(world.database)
    restore_backup(world.site, world.context(), "wiki.db")
    assert tables(world.database) == {"pages"}
