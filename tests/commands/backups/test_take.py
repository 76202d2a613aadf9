"""A backup by hand: staged, recorded, published; a failure leaves an event and nothing else."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from commands.backups import take as module
from commands.backups.accept import accept_backup
from commands.backups.take import take_backup
from commands.errors import BackupNameTaken, FlawedBackup, exit_code_of
from commands.restore.restore import restore_backup
from commands.site import actors
from commands.sqlite.errors import DatabaseBusy, NoTables, NotADatabase, SourceMissing
from commands.verification.verify import verify_backup
from ledger.events.catalog import BackupCreated, BackupNotCreated
from ledger.vocabulary import BackupKind
from projections.folds.backup_names import InvalidBackupName
from tests.commands.invariants import require_whole
from tests.commands.world import World, make_flawed, mode_of, titles_in


def test_backup_is_a_private_file_with_the_databases_content(world: World) -> None:
    """Everything about it stands in the event: size, digest, tables, rows, engine, source."""
    backup = take_backup(world.site, world.context())
    path = world.backups / backup.filename
    (event,) = world.events_of(BackupCreated)
    details = event.details
    assert backup.filename == "app_backup_2025-01-01T00-00-00.db"
    assert mode_of(path) == 0o600
    assert titles_in(path) == titles_in(world.database)
    assert details.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert details.size == path.stat().st_size
    assert [(table.name, table.rows) for table in details.tables] == [("cases", 20)]
    assert (details.table_count, details.row_count) == (1, 20)
    assert (details.kind, details.run_id, details.shared_with) == ("manual", None, None)
    assert details.source == world.site.known_source_id()
    assert details.store == world.site.store.store_id
    assert (event.user_id, event.actor.kind) == (None, "operator")
    assert event.stream == f"backup/{backup.backup_id}"
    require_whole(world.site)


def test_backup_of_somebody_has_an_owner_and_an_actor(world: World) -> None:
    """They are two people: whose it is, and who asked for it."""
    context = world.site.context(actors.user(4))
    backup = take_backup(world.site, context, user_id=9)
    (event,) = world.events_of(BackupCreated)
    assert (event.user_id, event.actor.id, backup.user_id) == ("9", "4", 9)
    assert event.correlation_id == context.correlation_id


def test_two_backups_in_one_second_have_two_names(world: World) -> None:
    """The second gets _2 before the append."""
    names = [take_backup(world.site, world.context()).filename for _ in range(3)]
    stem = "app_backup_2025-01-01T00-00-00"
    assert names == [f"{stem}.db", f"{stem}_2.db", f"{stem}_3.db"]


def test_foreign_file_of_that_name_is_left_alone(world: World) -> None:
    """An automatic name goes around what stands in the folder, known or not."""
    world.open()
    foreign = world.backups / "app_backup_2025-01-01T00-00-00.db"
    foreign.write_bytes(b"somebody's")
    assert take_backup(world.site, world.context()).filename.endswith("_2.db")
    assert foreign.read_bytes() == b"somebody's"


def test_name_given_by_a_person_gets_its_suffix(world: World) -> None:
    """`.db` is added if missing."""
    assert take_backup(world.site, world.context(), filename="before lunch").filename == (
        "before lunch.db"
    )
    assert world.files() == {"before lunch.db"}


@pytest.mark.parametrize(
    "name",
    ["../x", "a/b", "a\\b", ".hidden", "a\0b", "a\nb", "x" * 300, "", "  ", "\ud800", "a\u202eb"],
    ids=ascii,
)
def test_name_that_is_no_plain_file_name_is_refused(world: World, name: str) -> None:
    """A matter of usage (exit 2); nothing is done."""
    world.open()
    with world.watched() as types, pytest.raises(InvalidBackupName) as refused:
        take_backup(world.site, world.context(), filename=name)
    assert exit_code_of(refused.value) == 2
    assert types == []
    assert world.files() == set()


@pytest.mark.parametrize("how", ["backup", "file", "link", "folder"])
def test_taken_name_is_a_conflict(world: World, how: str) -> None:
    """A backup, a foreign file, a dangling symbolic link, a folder: none is overwritten."""
    world.open()
    path = world.backups / "mine.db"
    if how == "backup":
        take_backup(world.site, world.context(), filename="mine")
    elif how == "file":
        path.write_bytes(b"x")
    elif how == "link":
        path.symlink_to("nowhere")
    else:
        path.mkdir()
    before = os.lstat(path)
    with pytest.raises(BackupNameTaken) as refused:
        take_backup(world.site, world.context(), filename="mine.db")
    assert exit_code_of(refused.value) == 5
    assert isinstance(refused.value, FileExistsError)
    after = os.lstat(path)
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    (event,) = world.events_of(BackupNotCreated)
    assert event.details.error_type == "BackupNameTaken"
    assert world.staged() == []


def break_missing(world: World) -> None:
    world.database.unlink()


def break_empty(world: World) -> None:
    world.database.write_bytes(b"")


def break_text(world: World) -> None:
    world.database.write_bytes(b"plain text, and quite a lot of it " * 50)


def break_folder(world: World) -> None:
    world.database.unlink()
    world.database.mkdir()


def break_tables(world: World) -> None:
    world.database.unlink()
    with closing(sqlite3.connect(world.database)) as connection:
        connection.execute("PRAGMA user_version = 1")
        connection.execute("CREATE TABLE audit_trail (x)")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (break_missing, SourceMissing),
        (break_empty, NotADatabase),
        (break_text, NotADatabase),
        (break_folder, NotADatabase),
        (break_tables, NoTables),
    ],
)
def test_source_that_cannot_be_backed_up_is_recorded_and_leaves_nothing(
    world: World, spoil: Any, error: type[OSError]
) -> None:
    """Never an empty backup: an error, an event, no file, nothing staged."""
    world.open()
    for path in world.folder.glob("app.db-*"):
        path.unlink()
    spoil(world)
    with pytest.raises(error) as failed:
        take_backup(world.site, world.context(), filename="wanted.db", user_id=3)
    (event,) = world.events_of(BackupNotCreated)
    assert event.details.error_type == error.__name__
    assert (event.details.filename, event.details.kind) == ("wanted.db", "manual")
    assert event.error_message == str(failed.value)
    assert event.user_id == "3"
    assert world.files() == set()
    assert world.staged() == []


def test_locked_source_is_waited_for_only_so_long(world: World) -> None:
    """In rollback-journal mode a writer at its commit keeps readers out: busy, exit 5."""
    world.options["snapshot_wait_seconds"] = 0
    world.open()
    with closing(sqlite3.connect(world.database, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=DELETE")
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseBusy) as busy:
            take_backup(world.site, world.context())
    assert exit_code_of(busy.value) == 5
    assert world.recorded(BackupNotCreated)[0].error_type == "DatabaseBusy"


def test_database_that_lost_a_table_is_backed_up_with_a_warning(world: World) -> None:
    """Kept, and it says so; that the file is smaller says nothing more."""
    with closing(sqlite3.connect(world.database)) as connection:
        connection.execute("CREATE TABLE large AS SELECT zeroblob(100000) AS x")
        connection.commit()
    take_backup(world.site, world.context(), filename="large.db")
    with closing(sqlite3.connect(world.database)) as connection:
        connection.execute("DROP TABLE large")
        connection.commit()
        connection.execute("VACUUM")
    take_backup(world.site, world.context(), filename="small.db")
    large, small = world.recorded(BackupCreated)
    assert large.warnings == []
    assert small.warnings == ["table large is gone"]


def test_very_many_tables_fit_into_the_record(world: World) -> None:
    """The first 200 by name are listed, fewer where names are long; counts are of all."""
    long = "\u0001" * 90
    with closing(sqlite3.connect(world.database)) as connection:
        for number in range(300):
            connection.execute(f'CREATE TABLE "t{number:03}{long}" (x)')
        connection.commit()
    take_backup(world.site, world.context())
    (details,) = world.recorded(BackupCreated)
    assert details.table_count == 301
    assert 10 < len(details.tables) < 200
    assert details.tables[0].name == "cases"


def test_read_models_in_the_database_are_not_the_applications_data(world: World) -> None:
    """With our tables in it, fingerprint and counts are those of the application alone."""
    take_backup(world.site, world.context(), filename="without.db")
    world.close()
    world.open("act", projections=str(world.database))
    world.site.catch_up()
    take_backup(world.site, world.context(), filename="with.db")
    without, including = world.recorded(BackupCreated)
    assert including.size > without.size
    assert including.schema_fingerprint == without.schema_fingerprint
    assert (including.table_count, including.row_count) == (1, 20)


def test_publishing_that_fails_after_the_append_is_made_up_for_by_the_next_check(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the ledger happens: the staged file stays until it has its name."""
    site = world.open()

    def full(_staged: Path, _filename: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(site.store, "publish", full)
        with pytest.raises(OSError, match="No space"):
            take_backup(site, world.context(), filename="late.db")
    assert world.recorded(BackupNotCreated) == []
    assert world.files() == set()
    assert len(world.staged()) == 1
    world.check()
    assert world.files() == {"late.db"}
    require_whole(site)


def test_interrupt_after_the_commit_keeps_the_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between the commit and our hearing of it must not lose the backup."""
    site = world.open()
    append = module._append

    def interrupted(*arguments: Any) -> Any:
        append(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "_append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            take_backup(site, world.context(), filename="kept.db")
    world.reopen()
    world.check()
    assert world.files() == {"kept.db"}
    require_whole(world.site)


def test_protected_kinds_are_named_so(world: World) -> None:
    """Before a migration: a name that says it, and protection in the catalog."""
    backup = take_backup(world.site, world.context(), kind=BackupKind.PRE_MIGRATION)
    assert backup.filename == "pre_migration_2025-01-01T00-00-00.db"
    assert backup.is_protected


def test_flawed_database_is_backed_up_without_a_retry(world: World) -> None:
    """The run completes; the backup is marked, verifies, and says what was found."""
    make_flawed(world.database)
    world.configure(1)
    world.due_again()
    assert world.check().completed == 1
    (details,) = world.recorded(BackupCreated)
    assert (details.condition, details.row_count) == ("flawed", 20)
    assert details.findings
    assert details.warnings[0].startswith("the database has an integrity finding: ")
    (backup,) = world.present()
    assert backup.status == "ok"
    assert not backup.is_good
    for level in ("digest", "integrity", "drill"):
        assert verify_backup(world.site, world.context(), backup, level).is_good  # type: ignore[arg-type]


def test_accepted_findings_are_not_told_again(world: World) -> None:
    """The same ones; the backup stays flawed."""
    make_flawed(world.database)
    take_backup(world.site, world.context(), filename="one")
    accept_backup(world.site, world.context(), "one.db")
    take_backup(world.site, world.context(), filename="two")
    details = world.recorded(BackupCreated)[-1]
    assert (details.condition, details.warnings) == ("flawed", [])


@pytest.mark.slow
def test_flawed_backup_is_restored_only_by_force(world: World) -> None:
    """Or elsewhere, to look at it."""
    make_flawed(world.database)
    take_backup(world.site, world.context(), filename="one")
    with pytest.raises(FlawedBackup, match="had an integrity finding"):
        restore_backup(world.site, world.context(), "one.db")
    restore_backup(world.site, world.context(), "one.db", to=world.folder / "look.db")
    restore_backup(world.site, world.context(), "one.db", force=True)
