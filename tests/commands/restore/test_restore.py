"""Restoring: what is there is kept first, then old or new, never half; each of it recorded."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from commands.backups.delete import delete_backup
from commands.backups.take import take_backup
from commands.errors import (
    BackupNotFound,
    CorruptBackup,
    TargetExists,
    exit_code_of,
)
from commands.restore import restore as module
from commands.restore.plan import plan_restore
from commands.restore.restore import restore_backup
from commands.sqlite.errors import DatabaseBusy
from ledger.events.catalog import BackupCorrupt, BackupFound, BackupVerified
from ledger.events.restoring import RestoreCompleted, RestoreFailed, RestoreStarted
from tests.commands.conftest import MakeWorld
from tests.commands.invariants import require_whole
from tests.commands.sqlite_writers import build, holds, move, process
from tests.commands.world import World, add_case, break_database, mode_of, titles_in

OLD = [f"case {number}" for number in range(20)]
NEW = [*OLD, "new since the backup"]


@pytest.fixture
def moved_on(world: World) -> World:
    """A backup, and a database that has one case more since."""
    take_backup(world.site, world.context(), filename="first.db", user_id=3)
    add_case(world.database, NEW[-1])
    world.advance(hours=1)
    return world


@pytest.mark.slow
def test_database_has_the_backups_content_and_the_former_is_kept(moved_on: World) -> None:
    """The pre-restore copy is a protected backup of its own."""
    outcome = restore_backup(moved_on.site, moved_on.context(), "first.db")
    assert titles_in(moved_on.database) == OLD
    kept = outcome.pre_restore
    assert kept is not None
    assert kept.filename == "pre_restore_backup_2025-01-01T01-00-00.db"
    assert kept.is_protected
    assert titles_in(moved_on.backups / kept.filename) == NEW
    assert outcome.plan.mode == "transaction"
    require_whole(moved_on.site)


@pytest.mark.slow
def test_every_step_of_a_restore_is_recorded(moved_on: World) -> None:
    """Verified, kept, started, completed: one correlation, the backup's owner."""
    context = moved_on.context()
    with moved_on.watched() as types:
        outcome = restore_backup(moved_on.site, context, "first.db")
    assert types == [
        "backup_catalog.backup_verified",
        "backup_catalog.backup_created",
        "backup_restore.started",
        "backup_restore.completed",
    ]
    (started,), (completed,) = (
        moved_on.events_of(RestoreStarted),
        moved_on.events_of(RestoreCompleted),
    )
    assert started.stream == completed.stream
    assert (started.user_id, started.correlation_id) == ("3", context.correlation_id)
    assert started.details.target == str(moved_on.database)
    assert started.details.owner == moved_on.site.instance
    assert started.details.target_schema_version is not None
    assert outcome.pre_restore is not None
    assert completed.details.pre_restore_backup_id == outcome.pre_restore.backup_id
    assert completed.details.sha256 == outcome.plan.backup.sha256
    assert [each.trigger for each in moved_on.recorded(BackupVerified)] == ["restore"]


def test_plan_says_what_would_happen_and_does_nothing(moved_on: World) -> None:
    """No event, no change."""
    with moved_on.watched() as types:
        plan = plan_restore(moved_on.site, "first.db")
    assert types == []
    assert (plan.mode, plan.reason, plan.keeps_current) == ("transaction", None, True)
    assert plan.target == moved_on.database
    assert titles_in(moved_on.database) == NEW


def test_open_connections_see_the_restored_content(moved_on: World) -> None:
    """The database is the same file; nobody has to reconnect."""
    with closing(sqlite3.connect(moved_on.database)) as application:
        assert application.execute("SELECT count(*) FROM cases").fetchone() == (21,)
        restore_backup(moved_on.site, moved_on.context(), "first.db")
        assert application.execute("SELECT count(*) FROM cases").fetchone() == (20,)
        assert application.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_damaged_backup_is_refused_and_nothing_is_touched(moved_on: World) -> None:
    """Its digest is verified before anything else; the finding is recorded."""
    with (moved_on.backups / "first.db").open("r+b") as file:
        file.seek(5_000)
        file.write(b"\xff")
    with pytest.raises(CorruptBackup, match="nothing was touched"):
        restore_backup(moved_on.site, moved_on.context(), "first.db")
    assert titles_in(moved_on.database) == NEW
    (finding,) = moved_on.recorded(BackupCorrupt)
    assert (finding.trigger, finding.level) == ("restore", "digest")
    assert finding.found_sha256 != finding.expected_sha256
    (failed,) = moved_on.recorded(RestoreFailed)
    assert failed.error_type == "CorruptBackup"
    assert moved_on.recorded(RestoreStarted) == []
    assert moved_on.files() == {"first.db"}


def test_unknown_backup_is_not_found(moved_on: World) -> None:
    """Exit 4, and no event: nothing was begun."""
    with moved_on.watched() as types, pytest.raises(BackupNotFound) as missing:
        restore_backup(moved_on.site, moved_on.context(), "nobody.db")
    assert exit_code_of(missing.value) == 4
    assert types == []


def test_missing_file_is_noticed_and_recorded(moved_on: World) -> None:
    """The catalog then says missing, and the restore's failure stands in the ledger."""
    (moved_on.backups / "first.db").unlink()
    with pytest.raises((BackupNotFound, CorruptBackup)):
        restore_backup(moved_on.site, moved_on.context(), "first.db")
    assert moved_on.present() == []
    assert len(moved_on.recorded(RestoreFailed)) == 1
    with pytest.raises((BackupNotFound, CorruptBackup)):
        restore_backup(moved_on.site, moved_on.context(), "first.db")
    assert moved_on.present() == []  # still missing: a second look does not bring it back


@pytest.mark.slow
def test_locked_database_is_waited_for_and_left_untouched(moved_on: World) -> None:
    """Busy: exit 5, recorded as busy."""
    moved_on.close()
    moved_on.open("act", restore_wait_seconds=0)
    with closing(sqlite3.connect(moved_on.database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy) as busy:
            restore_backup(moved_on.site, moved_on.context(), "first.db")
        writer.execute("ROLLBACK")
    assert exit_code_of(busy.value) == 5
    assert titles_in(moved_on.database) == NEW
    assert [each.error_type for each in moved_on.recorded(RestoreFailed)] == ["busy"]
    require_whole(moved_on.site)


def test_missing_database_is_made_again(moved_on: World) -> None:
    """By replacement; there is nothing to keep."""
    for path in moved_on.folder.glob("app.db*"):
        path.unlink()
    outcome = restore_backup(moved_on.site, moved_on.context(), "first.db")
    assert (outcome.plan.mode, outcome.plan.reason) == ("replace", "missing")
    assert outcome.pre_restore is None
    assert titles_in(moved_on.database) == OLD
    assert mode_of(moved_on.database) == 0o600
    require_whole(moved_on.site)


@pytest.mark.slow
def test_damaged_database_is_kept_as_it_is_with_its_sidecars(moved_on: World) -> None:
    """No snapshot can be taken of it, so its bytes are kept, marked corrupt and protected."""
    break_database(moved_on.database)
    journal = moved_on.database.with_name("app.db-wal")
    journal.write_bytes(b"a log that belongs to it")
    damaged = moved_on.database.read_bytes()
    outcome = restore_backup(moved_on.site, moved_on.context(), "first.db")
    kept = outcome.pre_restore
    assert kept is not None
    assert (kept.status, kept.is_protected) == ("corrupt", True)
    assert (moved_on.backups / kept.filename).read_bytes() == damaged
    sidecars = moved_on.backups / ".sidecars" / kept.backup_id
    assert (sidecars / "database-wal").read_bytes() == b"a log that belongs to it"
    assert mode_of(sidecars) == 0o700
    assert mode_of(sidecars / "database-wal") == 0o600
    assert not journal.exists() or journal.read_bytes() != b"a log that belongs to it"
    assert titles_in(moved_on.database) == OLD
    (found,) = moved_on.recorded(BackupFound)
    assert found.kind == "pre_restore"
    require_whole(moved_on.site)


@pytest.mark.slow
def test_empty_database_file_is_filled(moved_on: World) -> None:
    """To SQLite an empty file is a database without content."""
    for path in moved_on.folder.glob("app.db*"):
        path.unlink()
    moved_on.database.touch()
    outcome = restore_backup(moved_on.site, moved_on.context(), "first.db")
    assert outcome.pre_restore is None
    assert titles_in(moved_on.database) == OLD


def test_restore_elsewhere_leaves_the_database_alone(moved_on: World) -> None:
    """A private copy at a path that does not exist."""
    target = moved_on.folder / "copy.db"
    outcome = restore_backup(moved_on.site, moved_on.context(), "first.db", to=target)
    assert (outcome.plan.mode, outcome.pre_restore) == ("elsewhere", None)
    assert titles_in(target) == OLD
    assert mode_of(target) == 0o600
    assert titles_in(moved_on.database) == NEW
    assert not list(moved_on.folder.glob(".backup-ledger-restore-*"))
    require_whole(moved_on.site)


@pytest.mark.parametrize("how", ["file", "folder", "dangling link"])
def test_existing_target_is_never_overwritten(moved_on: World, how: str) -> None:
    """Exit 5; the refusal is recorded."""
    target = moved_on.folder / "copy.db"
    if how == "file":
        target.write_text("mine")
    elif how == "folder":
        target.mkdir()
    else:
        target.symlink_to("nowhere")
    with pytest.raises(TargetExists) as refused:
        restore_backup(moved_on.site, moved_on.context(), "first.db", to=target)
    assert exit_code_of(refused.value) == 5
    assert how != "file" or target.read_text() == "mine"
    assert [each.error_type for each in moved_on.recorded(RestoreFailed)] == ["TargetExists"]


def test_target_in_a_folder_that_is_not_there_is_an_error_with_an_outcome(
    moved_on: World,
) -> None:
    """Whatever was started gets its end."""
    target = moved_on.folder / "nowhere" / "copy.db"
    with pytest.raises(OSError, match="nowhere"):
        restore_backup(moved_on.site, moved_on.context(), "first.db", to=target)
    assert len(moved_on.recorded(RestoreFailed)) == 1
    require_whole(moved_on.site)


def test_database_behind_a_symbolic_link_is_restored_where_it_is(moved_on: World) -> None:
    """The link stays a link."""
    real = moved_on.folder / "real.db"
    moved_on.database.rename(real)
    for suffix in ("-wal", "-shm"):
        moved_on.database.with_name(f"app.db{suffix}").unlink(missing_ok=True)
    moved_on.database.symlink_to("real.db")
    restore_backup(moved_on.site, moved_on.context(), "first.db")
    assert moved_on.database.is_symlink()
    assert titles_in(real) == OLD


@pytest.mark.slow
def test_pre_restore_copies_are_never_overwritten(moved_on: World) -> None:
    """Two restores in one second keep two copies."""
    for _ in range(2):
        restore_backup(moved_on.site, moved_on.context(), "first.db")
    stem = "pre_restore_backup_2025-01-01T01-00-00"
    assert {f"{stem}.db", f"{stem}_2.db"} <= moved_on.files()


@pytest.mark.slow
def test_restored_read_models_catch_up_by_themselves(moved_on: World) -> None:
    """They live in the restored database, so they went back in time; history did not."""
    moved_on.close()
    moved_on.open("act", projections=str(moved_on.database))
    moved_on.configure(1)
    take_backup(moved_on.site, moved_on.context(), filename="with rows.db")
    moved_on.configure(1, keep_count=3)
    moved_on.configure(2)
    restore_backup(moved_on.site, moved_on.context(), "with rows.db")
    assert moved_on.schedule(1).keep_count == 3
    assert moved_on.schedule(2).enabled


def test_backup_deleted_meanwhile_is_not_restored(
    moved_on: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the digest and the start: the decision is made under the lock."""
    keep = module._keep_current

    def keep_then_delete(*arguments: Any) -> Any:
        kept = keep(*arguments)
        delete_backup(moved_on.site, moved_on.context(), "first.db")
        return kept

    monkeypatch.setattr(module, "_keep_current", keep_then_delete)
    with pytest.raises(BackupNotFound, match="meanwhile"):
        restore_backup(moved_on.site, moved_on.context(), "first.db")
    assert titles_in(Path(moved_on.database)) == NEW


@pytest.mark.slow
def test_forgotten_reader_ends_in_busy_and_the_database_stays(make_world: MakeWorld) -> None:
    """In rollback-journal mode the open read transaction of another process is not broken."""
    world = make_world(restore_wait_seconds=0.2)
    with closing(sqlite3.connect(world.database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    take_backup(world.site, world.context(), filename="first.db")
    add_case(world.database, "later")
    with process("hold", world.database, "BEGIN"), pytest.raises(DatabaseBusy) as caught:
        restore_backup(world.site, world.context(), "first.db")
    assert exit_code_of(caught.value) == 5
    assert titles_in(world.database)[-1] == "later"
    assert world.recorded(RestoreFailed)[-1].error_type == "busy"


@pytest.mark.slow
def test_open_connections_see_one_or_the_other_all_through_restores(world: World) -> None:
    """Threads and another process read without pause; nobody sees a mixture or a damaged file."""
    world.database.unlink()
    build(world.database, padding=500)
    site = world.site
    take_backup(site, world.context(), filename="a.db")
    with closing(sqlite3.connect(world.database, isolation_level=None)) as writer:
        move(writer, Random(1))
    take_backup(site, world.context(), filename="b.db")
    over, troubles = threading.Event(), list[str]()

    def read() -> None:
        with closing(sqlite3.connect(world.database, isolation_level=None, timeout=60)) as mine:
            while not over.is_set():
                mine.execute("BEGIN")
                if not holds(mine):
                    troubles.append("a mixture")
                mine.execute("COMMIT")

    readers = [threading.Thread(target=read) for _ in range(2)]
    with process("watch", world.database) as watcher:
        for each in readers:
            each.start()
        try:
            for name in ("a.db", "b.db") * 3:
                restore_backup(site, world.context(), name)
        finally:
            over.set()
            for each in readers:
                each.join()
        assert watcher.stdin is not None
        assert watcher.stdout is not None
        watcher.stdin.close()
        seen = [watcher.first_line, *watcher.stdout.read().split("\n")]  # type: ignore[attr-defined]
        assert watcher.wait(60) == 0
    assert troubles == []
    assert {line.split()[1] for line in seen if line} == {"True"}
