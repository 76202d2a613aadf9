"""SQLite's locks belong to the process: whatever we do in the application's, it keeps its own.

Closing any descriptor of a database file drops every lock that the process holds on it. So a
second process is asked for the lock after each command, while the application holds its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from commands.backups.take import take_backup
from commands.errors import exit_code_of
from commands.facade.backup_service import BackupService
from commands.recovery.reconcile import reconcile
from commands.restore.plan import plan_restore
from commands.restore.restore import restore_backup
from commands.sqlite.errors import DatabaseBusy
from commands.verification.verify import verify_backup
from ledger.events.catalog import BackupCreated
from ledger.events.restoring import RestoreFailed
from tests.commands.conftest import MakeWorld
from tests.commands.sqlite_writers import ask, process
from tests.commands.world import World, add_case, titles_in
from tests.crash.stories import STORIES
from tests.faults.copying import copy_always, copy_by_size

HELD = {
    "write": ("wal", "BEGIN IMMEDIATE", "BEGIN IMMEDIATE"),
    "write, rollback journal": ("delete", "BEGIN IMMEDIATE", "BEGIN IMMEDIATE"),
    "read, rollback journal": ("delete", "BEGIN", "BEGIN EXCLUSIVE"),
}
"""What the application holds: journal mode, how it began, what another process then cannot."""


def _snapshot(world: World) -> None:
    take_backup(world.site, world.context())


def _snapshot_by_process(world: World) -> None:
    copy_always()
    backup = take_backup(world.site, world.context())
    created = world.recorded(BackupCreated)[-1]
    assert (created.filename, created.engine) == (backup.filename, "copy")


def _verification(world: World) -> None:
    for backup in world.present():
        verify_backup(world.site, world.context(), backup, "integrity")


def _adoption(world: World) -> None:
    """A file of the former service, and the application's own database under a second name."""
    (world.backups / "old.db").write_bytes((world.backups / "first.db").read_bytes())
    (world.backups / "live.db").hardlink_to(world.database)
    reconcile(world.site, world.context())


def _plan(world: World) -> None:
    plan_restore(world.site, "first.db")


def _restore_attempt(world: World) -> None:
    with suppress(DatabaseBusy):
        restore_backup(world.site, world.context(), "first.db")


def _restore_elsewhere(world: World) -> None:
    restore_backup(world.site, world.context(), "first.db", to=world.folder / "elsewhere.db")


def _facade(world: World) -> None:
    service = BackupService(str(world.database), str(world.backups))
    service.create_backup("by_facade.db")
    service.list_backups()
    service.get_database_size()


COMMANDS: dict[str, Callable[[World], None]] = {
    each.__name__.strip("_"): each
    for each in (
        _snapshot,
        _snapshot_by_process,
        _verification,
        _adoption,
        _plan,
        _restore_attempt,
        _restore_elsewhere,
        _facade,
    )
}


@pytest.fixture
def place(make_world: MakeWorld) -> Iterator[World]:
    """One backup, and a database that has moved on since."""
    world = make_world(restore_wait_seconds=0, snapshot_wait_seconds=1)
    world.open()
    take_backup(world.site, world.context(), filename="first.db")
    add_case(world.database, "new since the backup")
    yield world
    copy_by_size()


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("held", HELD)
def test_lock_of_the_application_survives_every_command_in_its_process(
    place: World, held: str, command: str
) -> None:
    """Another process is refused before it, and after it; and gets the lock in the end."""
    journal, begin, other = HELD[held]
    with closing(sqlite3.connect(place.database, isolation_level=None)) as application:
        application.execute(f"PRAGMA journal_mode={journal}").fetchall()
        application.execute(begin)
        before = application.execute("SELECT count(*) FROM cases").fetchone()
        assert ask("try_lock", place.database, other) == "SQLITE_BUSY"
        COMMANDS[command](place)
        assert ask("try_lock", place.database, other) == "SQLITE_BUSY"
        assert application.execute("SELECT count(*) FROM cases").fetchone() == before
        application.execute("COMMIT")
    assert ask("try_lock", place.database, other) == "free"


def test_descriptor_that_was_opened_and_closed_would_have_dropped_the_lock(place: World) -> None:
    """The control: the question to the second process can be answered otherwise."""
    with closing(sqlite3.connect(place.database, isolation_level=None)) as application:
        application.execute("PRAGMA journal_mode=DELETE").fetchall()
        application.execute("BEGIN IMMEDIATE")
        place.database.open("rb").close()
        assert ask("try_lock", place.database) == "free"
        application.execute("ROLLBACK")


@pytest.mark.slow
@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("forgotten", ["BEGIN", "BEGIN IMMEDIATE"])
def test_restore_onto_a_forgotten_connection_is_busy_and_touches_no_byte(
    make_world: MakeWorld, journal: str, forgotten: str
) -> None:
    """A writer in another process always; a reader where it is in the way of writers."""
    world = make_world(restore_wait_seconds=0.2)
    world.open()
    with closing(sqlite3.connect(world.database)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal}").fetchall()
    take_backup(world.site, world.context(), filename="first.db")
    add_case(world.database, "new since the backup")
    bytes_before = world.database.read_bytes()
    with process("hold", world.database, forgotten):
        if (journal, forgotten) == ("wal", "BEGIN"):
            restore_backup(world.site, world.context(), "first.db")
            assert "new since the backup" not in titles_in(world.database)
            return
        with pytest.raises(DatabaseBusy, match=r"app\.db stayed locked") as busy:
            restore_backup(world.site, world.context(), "first.db")
    assert exit_code_of(busy.value) == 5
    assert world.database.read_bytes() == bytes_before
    (failed,) = world.recorded(RestoreFailed)
    assert failed.error_type == "busy"
    restore_backup(world.site, world.context(), "first.db")
    assert "new since the backup" not in titles_in(world.database)


@pytest.mark.slow
@pytest.mark.parametrize("forgotten", ["BEGIN", "BEGIN IMMEDIATE"])
def test_replacement_below_a_forgotten_connection_is_busy_and_touches_no_byte(
    make_world: MakeWorld, forgotten: str
) -> None:
    """A database of another page size is replaced by rename: only where nobody has it open."""
    world = make_world(restore_wait_seconds=0.2)
    world.open()
    STORIES["replace pages"].prepare(world)
    bytes_before = world.database.read_bytes()
    with process("hold", world.database, forgotten):
        with pytest.raises(DatabaseBusy, match=r"app\.db is open in another connection"):
            restore_backup(world.site, world.context(), "first.db")
        assert world.database.read_bytes() == bytes_before
    (failed,) = world.recorded(RestoreFailed)
    assert failed.error_type == "busy"
