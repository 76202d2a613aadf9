"""Journals and locks that are not SQLite's own here are left alone, and named."""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from commands.backups.take import take_backup
from commands.errors import exit_code_of
from commands.restore.plan import plan_restore
from commands.restore.restore import restore_backup
from commands.sqlite import foreign_locks
from commands.sqlite.connections import open_live
from commands.sqlite.errors import FileAccessFailed, LockedByDotfile
from commands.sqlite.foreign_locks import MAGIC, require_no_foreign_locks
from commands.sqlite.raw_files import end_of
from commands.upkeep.optimize_database import optimize_database
from ledger.vocabulary import BackupKind
from tests.commands.world import World

ACTS: dict[str, Callable[[World], object]] = {
    "create": lambda world: take_backup(world.site, world.context()),
    "migration": lambda world: take_backup(
        world.site, world.context(), kind=BackupKind.PRE_MIGRATION
    ),
    "plan": lambda world: plan_restore(world.site, "good.db"),
    "restore": lambda world: restore_backup(world.site, world.context(), "good.db"),
    "optimize": lambda world: optimize_database(world.site, world.context()),
}


def rolled(world: World) -> None:
    """A database in rollback mode, whose application may lock with unix-dotfile."""
    with closing(sqlite3.connect(world.database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


@pytest.fixture
def dotfile(world: World) -> World:
    """A good backup, and a database in rollback mode."""
    take_backup(world.site, world.context(), filename="good")
    rolled(world)
    return world


@pytest.mark.parametrize("act", ACTS)
def test_open_transaction_of_a_dotfile_application_is_left_alone(dotfile: World, act: str) -> None:
    """Refused by name; the application commits all that it wrote."""
    address = f"file:{dotfile.database}?vfs=unix-dotfile"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as application:
        application.execute("PRAGMA cache_size=1")
        application.execute("BEGIN IMMEDIATE")
        application.execute("UPDATE cases SET title=hex(randomblob(4000))")
        with pytest.raises(LockedByDotfile, match=r"app\.db\.lock is there") as refused:
            ACTS[act](dotfile)
        assert exit_code_of(refused.value) == 5
        application.execute("COMMIT")
        lengths = application.execute("SELECT DISTINCT length(title) FROM cases").fetchall()
    assert lengths == [(8000,)]
    ACTS[act](dotfile)


def test_a_run_beside_a_dotfile_application_fails_and_is_tried_again(dotfile: World) -> None:
    dotfile.configure(1)
    dotfile.due_again()
    lock = dotfile.database.with_name("app.db.lock")
    lock.mkdir()
    assert dotfile.check().failed == 1
    lock.rmdir()
    dotfile.due_again()
    assert dotfile.check().completed == 1


def test_a_lock_file_of_somebody_elses_is_no_dotfile_lock(dotfile: World) -> None:
    """SQLite makes a folder; libraries that lock files make a file."""
    dotfile.database.with_name("app.db.lock").touch()
    require_no_foreign_locks(dotfile.database)


def journal_naming(database: Path, name: bytes) -> Path:
    """The hot journal of a crashed writer, which names a super-journal."""
    child = os.fork()
    if child == 0:
        connection = sqlite3.connect(database, isolation_level=None)
        connection.execute("PRAGMA cache_size=1")
        connection.execute("BEGIN")
        connection.execute("UPDATE cases SET title=hex(randomblob(4000))")
        os._exit(0)
    os.waitpid(child, 0)
    journal = database.with_name(database.name + "-journal")
    with journal.open("ab") as file:
        file.write(struct.pack(">I", 0x40000000 // 4096 + 1) + name)
        file.write(struct.pack(">II", len(name), sum(name)) + MAGIC)
    return journal


@pytest.mark.parametrize("act", ACTS)
def test_a_journal_that_names_a_file_outside_deletes_nothing(dotfile: World, act: str) -> None:
    """Whoever may write in the database's folder could have any file of ours deleted."""
    precious = dotfile.folder / "precious"
    precious.touch()
    journal = journal_naming(dotfile.database, os.fsencode(precious))
    with pytest.raises(FileAccessFailed, match=r"names another file, .*precious"):
        ACTS[act](dotfile)
    assert precious.exists()
    assert journal.exists()


def test_a_journal_that_goes_and_comes_is_of_a_live_writer(
    dotfile: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction ends between two looks, and the next one begins: nothing is wrong."""
    journal = dotfile.database.with_name("app.db-journal")
    content = bytes(1_000)
    journal.write_bytes(content)

    def end_between_transactions(path: Path) -> bytes:
        path.unlink()
        try:
            return end_of(path)
        finally:
            path.write_bytes(content)

    monkeypatch.setattr(foreign_locks, "end_of", end_between_transactions)
    require_no_foreign_locks(dotfile.database)
    assert journal.read_bytes() == content


def test_a_super_journal_of_sqlites_own_is_followed(dotfile: World) -> None:
    """Of a transaction over several databases that crashed: SQLite knows what to do."""
    own = dotfile.database.with_name("app.db-mj0123456A1")
    journal_naming(dotfile.database, os.fsencode(own.resolve()))
    with closing(open_live(dotfile.database, 1)) as connection:
        (titles,) = connection.execute("SELECT count(*) FROM cases").fetchone()
    assert titles == 20


def test_a_hot_journal_of_a_crashed_writer_is_rolled_back(dotfile: World) -> None:
    """As ever: it names nothing."""
    journal = journal_naming(dotfile.database, b"x")
    content = journal.read_bytes()
    journal.write_bytes(content[: -(4 + 1 + 8 + 8)])
    take_backup(dotfile.site, dotfile.context(), filename="after")
    assert not journal.exists()
