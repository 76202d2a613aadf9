"""Databases, folders, ledgers and configurations that are not what they should be.

Each gets the right exit code and one line that helps; nothing is made or changed by mistake.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.acceptance.place import CONFLICT, FAILED, NOT_FOUND, USAGE, Place, require_clear

INIT_HINT = "backup-ledger ledger init [--new]"


def no_file(place: Place) -> None:
    for path in place.folder.glob("app.db*"):
        path.unlink()


def empty_file(place: Place) -> None:
    no_file(place)
    place.database.touch()


def text_file(place: Place) -> None:
    no_file(place)
    place.database.write_text("I am no database. " * 100)


def a_directory(place: Place) -> None:
    no_file(place)
    place.database.mkdir()


def no_tables(place: Place) -> None:
    no_file(place)
    with closing(sqlite3.connect(place.database)) as connection:
        connection.execute("PRAGMA user_version = 1")


def a_broken_link(place: Place) -> None:
    no_file(place)
    place.database.symlink_to("nowhere.db")


def a_damaged_file(place: Place) -> None:
    with closing(sqlite3.connect(place.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode=DELETE")
    content = bytearray(place.database.read_bytes())
    content[100:200] = b"\xff" * 100  # the page of the schema
    place.database.write_bytes(content)


def a_pipe(place: Place) -> None:
    no_file(place)
    os.mkfifo(place.database)


SOURCES: list[tuple[Callable[[Place], None], int, str]] = [
    (no_file, NOT_FOUND, "there is no database at"),
    (a_broken_link, NOT_FOUND, "there is no database at"),
    (empty_file, FAILED, "is empty, not a database"),
    (text_file, FAILED, "is not a SQLite database"),
    (a_directory, FAILED, "is not a regular file"),
    (a_pipe, FAILED, "is not a regular file"),
    (no_tables, FAILED, "no table"),
    (a_damaged_file, FAILED, "is damaged"),
]


@pytest.mark.parametrize(("spoil", "code", "says"), SOURCES)
def test_a_bad_source_is_no_backup_and_is_recorded(
    spoil: Callable[[Place], None], code: int, says: str, place: Place
) -> None:
    """Never an empty backup; nothing is left in the staging folder."""
    place.done("backup", "create", "one")
    spoil(place)
    require_clear(place.run("backup", "create", "two"), code, says)
    assert [path.name for path in place.backups.glob("*.db")] == ["one.db"]
    staged = [path for path in (place.backups / ".staging").rglob("*") if path.is_file()]
    assert [path for path in staged if path.name != "lock"] == []
    last = place.events()[-1]
    assert (last["event_type"], last["success"]) == ("backup_catalog.backup_error", False)
    assert says in last["error_message"]


@pytest.mark.parametrize(
    ("spoil", "code", "says"), [source for source in SOURCES[:6] if source[0] is not text_file]
)
def test_a_typing_error_in_the_path_leaves_nothing_behind(
    spoil: Callable[[Place], None], code: int, says: str, place: Place
) -> None:
    """No folder, no ledger, beside a database that is not there or is none."""
    spoil(place)
    require_clear(place.run("backup", "create"), code, says)
    assert not place.backups.exists()


def test_a_locked_database_is_a_conflict_after_the_wait(place: Place) -> None:
    """Exit code 5, for create and restore; the content is untouched."""
    place.done("backup", "create", "one")
    with closing(sqlite3.connect(place.database)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
    patience = {"BACKUP_LEDGER_SNAPSHOT_WAIT_SECONDS": "0.1"}
    patience["BACKUP_LEDGER_RESTORE_WAIT_SECONDS"] = "0.1"
    with closing(sqlite3.connect(place.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("INSERT INTO cases (title) VALUES ('not committed')")
        require_clear(place.spawn("backup", "create", "two", **patience), CONFLICT, "is locked")
        ended = place.spawn("backup", "restore", "one.db", "--yes", **patience)
        require_clear(ended, CONFLICT, "is locked")
        other.execute("COMMIT")
    assert place.count_cases() == 21
    assert place.types()[-1] == "backup_restore.error"


def test_a_read_only_database_can_be_backed_up(place: Place) -> None:
    """Reading is all that a backup needs; the source stays as it is."""
    with closing(sqlite3.connect(place.database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    place.database.chmod(0o400)
    before = place.files()["app.db"]
    made = place.json("backup", "create", "one")
    assert made["status"] == "ok"
    assert place.files()["app.db"] == before


NEEDS_A_LEDGER = [
    ("run", "--once"),
    ("backup", "reconcile"),
    ("backup", "verify", "--all"),
    ("backup", "restore", "one.db", "--yes"),
    ("backup", "delete", "one.db", "--yes"),
    ("retention", "preview", "3", "--global"),
    ("retention", "apply", "3", "--global"),
    ("retention", "cleanup-empty"),
    ("retention", "cleanup-protected"),
    ("settings", "pause", "1"),
    ("projections", "rebuild"),
]


@pytest.mark.parametrize("args", NEEDS_A_LEDGER, ids=" ".join)
def test_an_unmounted_folder_is_no_new_one(args: tuple[str, ...], place: Place) -> None:
    """It looks empty; so nothing is made in it, and the person is asked."""
    place.backups.mkdir()
    require_clear(place.run(*args), FAILED, INIT_HINT)
    assert list(place.backups.iterdir()) == []
    place.backups.rmdir()
    require_clear(place.run(*args), FAILED, INIT_HINT)
    assert not place.backups.exists()


READS = [
    ("status",),
    ("settings", "list"),
    ("settings", "show", "1"),
    ("settings", "preview", "1"),
    ("backup", "show", "one.db"),
    ("audit", "log"),
    ("audit", "log", "--json"),
    ("audit", "history", "ledger"),
    ("projections", "list"),
    ("projections", "diff"),
]


@pytest.mark.parametrize("args", READS, ids=" ".join)
def test_reading_without_a_ledger_is_not_found(args: tuple[str, ...], place: Place) -> None:
    """And makes none."""
    ended = place.run(*args)
    assert (ended.code, "there is no ledger at" in ended.err) == (NOT_FOUND, True)
    assert ended.out == "" or args == ("status",)  # which names what is there
    assert not place.backups.exists()


@pytest.mark.parametrize("lost", [".store", "ledger.sqlite"])
@pytest.mark.parametrize(
    "args",
    [("run", "--once"), ("backup", "list"), ("backup", "create"), ("settings", "set", "1")],
    ids=" ".join,
)
def test_half_a_store_is_asked_about(lost: str, args: tuple[str, ...], place: Place) -> None:
    """A .store file without its ledger, or the other way round, is never completed by itself."""
    place.done("backup", "create", "one")
    for path in place.backups.glob(f"{lost}*"):
        path.unlink()
    before = sorted(path.name for path in place.backups.iterdir())
    ended = place.run(*args)
    assert (ended.code, INIT_HINT in ended.err) == (FAILED, True)
    assert ended.out == "" or "one.db" in ended.out  # a list names what is there
    assert sorted(path.name for path in place.backups.iterdir()) == before


def text_ledger(place: Place) -> None:
    place.ledger.write_text("no ledger " * 1000)


def directory_ledger(place: Place) -> None:
    place.ledger.mkdir()


def foreign_ledger(place: Place) -> None:
    with closing(sqlite3.connect(place.ledger)) as connection:
        connection.execute("CREATE TABLE somebody_elses (id INTEGER)")
        connection.commit()


def newer_ledger(place: Place) -> None:
    with closing(sqlite3.connect(place.ledger)) as connection:
        connection.execute(
            "CREATE TABLE ledger_meta (ledger_id TEXT, schema_version INTEGER, created_at TEXT)"
        )
        connection.execute("INSERT INTO ledger_meta VALUES ('x', 99, '')")
        connection.commit()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (text_ledger, "is not a ledger, or its header is damaged"),
        (directory_ledger, "ledger.sqlite"),
        (foreign_ledger, "is not a ledger"),
        (newer_ledger, "update backup-ledger"),
    ],
)
@pytest.mark.parametrize(
    "args", [("status",), ("backup", "create"), ("run", "--once")], ids=" ".join
)
def test_a_ledger_that_is_not_ours_is_left_alone(
    spoil: Callable[[Place], None], says: str, args: tuple[str, ...], place: Place
) -> None:
    """Something else, or of newer software: exit code 1, and not a byte changes."""
    place.done("backup", "create", "one")
    for path in place.backups.glob("ledger.sqlite*"):
        path.unlink()
    spoil(place)
    before = place.ledger.read_bytes() if place.ledger.is_file() else b""
    require_clear(place.run(*args), FAILED, says)
    assert (place.ledger.read_bytes() if place.ledger.is_file() else b"") == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense = 1\n", "'nonsense'"),
        ("lease_seconds = 1\n", "'lease_seconds'"),
        ('check_interval_seconds = "often"\n', "'check_interval_seconds'"),
        ('backups = "a\\u0000b"\n', "'backups'"),
        ("database = [\n", "backup-ledger.toml cannot be read"),
        ('ledger = "mysql://root:secret@host/x"\n', "not supported"),
        ('ledger = "postgresql://ada:se@secret@host/x"\n', "%40"),
        ('labels = "office"\n', "'office' has no users"),
    ],
)
def test_a_wrong_configuration_names_the_setting(text: str, says: str, place: Place) -> None:
    """Exit code 2; a password is never repeated."""
    (place.folder / "backup-ledger.toml").write_text(text)
    ended = place.run("status")
    require_clear(ended, USAGE, says)
    assert "secret" not in ended.err


def test_the_environment_is_read_as_strictly(place: Place) -> None:
    """The same rules as in the file."""
    ended = place.run("status", BACKUP_LEDGER_LEASE_SECONDS="-5")
    require_clear(ended, USAGE, "'lease_seconds'")


def test_without_any_database_the_person_is_told_how_to_name_one(place: Place) -> None:
    """Exit code 2, with option and variable."""
    ended = place.run("status", BACKUP_LEDGER_DATABASE="")
    require_clear(ended, USAGE, "'database'")


def test_a_folder_that_is_a_file_is_refused(place: Place) -> None:
    """Nothing is written over it."""
    place.backups.write_text("a file")
    require_clear(place.run("backup", "list"), FAILED, "backups")
    assert place.backups.read_text() == "a file"
