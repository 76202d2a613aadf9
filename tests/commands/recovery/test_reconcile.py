"""Folder against ledger: unknown files are adopted, lost ones are reported, nothing is guessed."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from commands.backups.delete import delete_backup
from commands.backups.take import take_backup
from commands.recovery import reconcile as module
from commands.recovery.reconcile import reconcile
from ledger.events.catalog import (
    BackupCorrupt,
    BackupFound,
    BackupMissing,
    BackupVerified,
)
from tests.commands.invariants import require_whole
from tests.commands.world import World, make_database, mode_of

LONG_AGO = datetime(2023, 5, 1, 12, tzinfo=UTC)


def put_database(path: Path) -> Path:
    """A finished database file, as somebody's copy of long ago."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE cases (id INTEGER PRIMARY KEY)")
        connection.commit()
    os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    return path


@pytest.fixture
def one(world: World) -> World:
    take_backup(world.site, world.context(), filename="one.db", user_id=5)
    return world


def test_unknown_database_is_adopted_with_its_own_time(one: World) -> None:
    """backup_found: size, digest, created_at = mtime, status ok; made private."""
    path = put_database(one.backups / "copied.db")
    path.chmod(0o644)
    result = reconcile(one.site, one.context())
    assert result.adopted == ["copied.db"]
    (event,) = one.events_of(BackupFound)
    assert event.details.created_at == LONG_AGO
    assert event.details.status == "ok"
    assert event.details.size == path.stat().st_size
    assert mode_of(path) == 0o600
    require_whole(one.site)


def test_second_look_finds_nothing_more(one: World) -> None:
    """Reconciling is idempotent."""
    put_database(one.backups / "copied.db")
    reconcile(one.site, one.context())
    with one.watched() as types:
        assert reconcile(one.site, one.context()).adopted == []
    assert types == []


def test_damaged_files_are_adopted_as_corrupt(one: World) -> None:
    """Empty, plain text, truncated: they are there, so the catalog says so."""
    (one.backups / "empty.db").touch()
    (one.backups / "text.db").write_text("dear diary " * 100)
    whole = put_database(one.backups / "cut.db").read_bytes()
    (one.backups / "cut.db").write_bytes(whole[: len(whole) // 2])
    reconcile(one.site, one.context())
    status = {backup.filename: backup.status for backup in one.present()}
    assert status == {
        "one.db": "ok",
        "empty.db": "corrupt",
        "text.db": "corrupt",
        "cut.db": "corrupt",
    }
    require_whole(one.site)


def test_name_says_whose_it_is_and_of_which_kind(one: World) -> None:
    """As the former service named them."""
    put_database(one.backups / "auto_backup_user9_2023-05-01T12-00-00.db")
    put_database(one.backups / "pre_migration_2023-05-01T12-00-00.db")
    reconcile(one.site, one.context())
    found = {backup.filename: backup for backup in one.present()}
    auto = found["auto_backup_user9_2023-05-01T12-00-00.db"]
    before = found["pre_migration_2023-05-01T12-00-00.db"]
    assert (auto.user_id, auto.kind, auto.is_protected) == (9, "scheduled", False)
    assert (before.user_id, before.kind, before.is_protected) == (None, "pre_migration", True)


def test_what_is_no_backup_is_not_adopted(one: World) -> None:
    """Links, folders, hidden files, other suffixes; a name that is no UTF-8 is reported."""
    (one.backups / "link.db").symlink_to(one.database)
    (one.backups / "folder.db").mkdir()
    put_database(one.backups / ".hidden.db")
    put_database(one.backups / "notes.txt")
    os.mkfifo(one.backups / "pipe.db")
    (Path(os.fsdecode(os.fsencode(one.backups) + b"/caf\xe9.db"))).touch()
    result = reconcile(one.site, one.context())
    assert result.adopted == []
    assert result.left_alone == ["caf\\xe9.db"]
    assert one.recorded(BackupFound) == []


def test_source_in_the_same_folder_is_never_adopted(world: World) -> None:
    """Nor are ledger and read models, whatever they are called."""
    database = world.folder / "mine" / "app.db"
    database.parent.mkdir()
    make_database(database)
    world.open(
        database=database,
        backups=database.parent,
        ledger=str(database.parent / "ledger.db"),
        projections=str(database.parent / "models.db"),
    )
    world.site.catch_up()
    assert reconcile(world.site, world.context()).adopted == []


def test_file_that_is_gone_is_reported_missing_once(one: World) -> None:
    """With a message; it is not there any more for anybody."""
    (one.backups / "one.db").unlink()
    assert reconcile(one.site, one.context()).missing == ["one.db"]
    assert reconcile(one.site, one.context()).missing == []
    (event,) = one.events_of(BackupMissing)
    assert (event.success, event.user_id) == (False, "5")
    assert one.present() == []


@pytest.mark.parametrize("how", ["link", "folder"])
def test_something_else_at_its_name_is_not_the_backup(one: World, how: str) -> None:
    """A symbolic link is never followed, a folder is not a file: missing."""
    path = one.backups / "one.db"
    path.unlink()
    if how == "link":
        path.symlink_to(one.database)
    else:
        path.mkdir()
    assert reconcile(one.site, one.context()).missing == ["one.db"]
    assert os.path.lexists(path)


def test_missing_file_that_comes_back_is_good_if_its_content_is(one: World) -> None:
    """A recorded fact, by its digest."""
    (one.backups / "one.db").rename(one.folder / "away")
    reconcile(one.site, one.context())
    (one.folder / "away").rename(one.backups / "one.db")
    assert reconcile(one.site, one.context()).back == ["one.db"]
    (details,) = one.recorded(BackupVerified)
    assert (details.level, details.problem) == ("digest", None)
    require_whole(one.site)


@pytest.mark.slow
def test_missing_file_that_comes_back_different_is_corrupt(one: World) -> None:
    """Its name is taken, so it cannot be adopted; that it is there and wrong is recorded."""
    (one.backups / "one.db").unlink()
    reconcile(one.site, one.context())
    put_database(one.backups / "one.db").chmod(0o600)
    result = reconcile(one.site, one.context())
    assert (result.back, result.left_alone) == ([], ["one.db"])
    (details,) = one.recorded(BackupCorrupt)
    assert details.expected_sha256 != details.found_sha256
    assert [backup.status for backup in one.present()] == ["corrupt"]
    with one.watched() as types:
        reconcile(one.site, one.context())
    assert types == []
    require_whole(one.site)


def test_deleted_backup_that_is_copied_back_is_a_new_one(one: World) -> None:
    """The old entry stays deleted."""
    content = (one.backups / "one.db").read_bytes()
    delete_backup(one.site, one.context(), "one.db")
    (one.backups / "one.db").write_bytes(content)
    assert reconcile(one.site, one.context()).adopted == ["one.db"]
    (event,) = one.events_of(BackupFound)
    assert event.resource_id == one.present()[0].backup_id
    require_whole(one.site)


def test_file_that_is_still_being_written_waits(one: World, monkeypatch: Any) -> None:
    """Its size or time changed between two looks."""
    path = put_database(one.backups / "growing.db")
    read = module.sha256_of

    def grow(looked_at: Path) -> str:
        digest = read(looked_at)
        with path.open("ab") as file:
            file.write(b"more")
        return digest

    with monkeypatch.context() as patched:
        patched.setattr(module, "sha256_of", grow)
        result = reconcile(one.site, one.context())
    assert (result.adopted, result.left_alone) == ([], ["growing.db"])
    assert reconcile(one.site, one.context()).adopted == ["growing.db"]


def test_file_that_cannot_be_read_is_left_alone(one: World, monkeypatch: Any) -> None:
    """It is named, and the others are adopted all the same; a scheduler looks at it once."""
    put_database(one.backups / "a.db")
    put_database(one.backups / "b.db")
    read = module.sha256_of
    seen: list[str] = []

    def refuse(looked_at: Path) -> str:
        seen.append(looked_at.name)
        if looked_at.name == "a.db":
            raise PermissionError(13, "Permission denied")
        return read(looked_at)

    monkeypatch.setattr(module, "sha256_of", refuse)
    result = reconcile(one.site, one.context())
    assert (result.adopted, result.left_alone) == (["b.db"], ["a.db"])
    seen.clear()
    new_files = module.NewFiles()
    for _ in range(2):
        new_files.adopt(one.site, one.context())
    assert seen == ["a.db"]
    os.utime(one.backups / "a.db")
    new_files.adopt(one.site, one.context())
    assert seen == ["a.db"] * 2


def test_backup_being_published_is_not_missing(one: World) -> None:
    """Committed, and its file still staged by somebody who lives."""
    other = one.open("act")
    path = one.backups / "one.db"
    (backup,) = one.present()
    path.rename(other.owner.folder / backup.backup_id)
    assert reconcile(one.sites[0], one.context()).missing == []
    (other.owner.folder / backup.backup_id).rename(path)


def test_progress_is_told_for_each_unknown_file(one: World) -> None:
    """A folder of old backups takes a while."""
    for name in ("a.db", "b.db"):
        put_database(one.backups / name)
    told: list[tuple[int, int]] = []
    reconcile(one.site, one.context(), lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2)]
