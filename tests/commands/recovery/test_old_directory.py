"""A folder that the former file-copy service left behind is adopted as it is."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from commands.recovery.reconcile import Reconciliation, reconcile
from commands.restore.restore import restore_backup
from commands.retention.apply import apply_retention
from commands.retention.cleanup import clean_up_empty
from ledger.clock import ManualClock
from tests.commands.invariants import require_whole
from tests.commands.world import World, make_database, mode_of, titles_in

DAYS = [datetime(2023, 5, day, 3, tzinfo=UTC) for day in range(1, 6)]
AUTO = [f"auto_backup_user1_{day:%Y-%m-%dT%H-%M-%S}.db" for day in DAYS]
FOREIGN = os.fsdecode(b"caf\xe9.db")


def age(path: Path, moment: datetime) -> None:
    os.utime(path, (moment.timestamp(), moment.timestamp()), follow_symlinks=False)
    if not path.is_symlink():
        path.chmod(0o644)  # the former service left its files readable for the world


def copy_with_open_log(source: Path, target: Path) -> None:
    """A copy of a WAL-mode database whose last commits were still in the log."""
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("INSERT INTO cases (title) VALUES ('only in the log')")
        shutil.copy(source, target)


@pytest.fixture
def former(world: World) -> World:
    """The folder, with everything that such folders have in them."""
    folder = world.backups
    folder.mkdir(mode=0o755)
    make_database(world.folder / "old.db", rows=5)
    old = world.folder / "old.db"
    for name, day in zip(AUTO, DAYS, strict=True):
        shutil.copy(old, folder / name)
        age(folder / name, day)
    for name in ("before the audit.db", "pre_migration_2023-05-03T09-00-00.db", "Größe 1.db"):
        shutil.copy(old, folder / name)
        age(folder / name, DAYS[2])
    copy_with_open_log(old, folder / "log left behind.db")
    whole = old.read_bytes()
    (folder / "truncated.db").write_bytes(whole[: len(whole) - 3_000])
    (folder / "empty.db").touch()
    (folder / "text.db").write_text("this is not a database\n" * 20)
    (folder / "notes.txt").write_text("keep these")
    (folder / "link.db").symlink_to(world.database)
    (folder / FOREIGN).write_bytes(whole)
    for name in ("log left behind.db", "truncated.db", "empty.db", "text.db"):
        age(folder / name, DAYS[2])
    (folder / "x.db").mkdir()
    (folder / "x.db" / "inside.db").write_bytes(whole)
    world.move_to(datetime(2025, 6, 1, tzinfo=UTC))
    return world


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file below, as it is."""
    return {
        os.fsencode(path.relative_to(folder)).decode("latin-1"): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".db", ".txt")
    }


def adopt(world: World) -> Reconciliation:
    world.open("begin")
    return reconcile(world.site, world.context())


def test_every_backup_of_the_former_service_is_in_the_catalog(former: World) -> None:
    """With its owner, its kind, its time; damaged ones as what they are."""
    result = adopt(former)
    found = {backup.filename: backup for backup in former.present()}
    assert set(result.adopted) == set(found)
    assert set(found) == {
        *AUTO,
        "before the audit.db",
        "pre_migration_2023-05-03T09-00-00.db",
        "Größe 1.db",
        "log left behind.db",
        "truncated.db",
        "empty.db",
        "text.db",
    }
    damaged = {name for name, backup in found.items() if backup.status == "corrupt"}
    assert damaged == {"truncated.db", "empty.db", "text.db"}
    for name, day in zip(AUTO, DAYS, strict=True):
        assert (found[name].user_id, found[name].kind) == (1, "scheduled")
        assert found[name].created_at == day
    assert found["pre_migration_2023-05-03T09-00-00.db"].is_protected
    assert found["before the audit.db"].kind == "manual"
    require_whole(former.site)


def test_nothing_is_changed_moved_or_made_by_adopting(former: World) -> None:
    """The bytes are what they were; no sidecar appears beside a WAL-mode copy."""
    before = fingerprint(former.backups)
    adopt(former)
    assert fingerprint(former.backups) == before
    assert not list(former.backups.glob("*.db-*"))
    assert (former.backups / "link.db").is_symlink()


def test_adopted_files_become_private(former: World) -> None:
    """They hold a whole application's data; what is not a backup keeps its mode."""
    (former.backups / "notes.txt").chmod(0o644)
    adopt(former)
    for backup in former.present():
        assert mode_of(former.backups / backup.filename) == 0o600
    assert mode_of(former.backups / "notes.txt") == 0o644


def test_what_cannot_be_named_is_reported(former: World) -> None:
    """A name that is no UTF-8 stands in the report, and the file stays."""
    assert adopt(former).left_alone == ["caf\\xe9.db"]
    assert (former.backups / FOREIGN).exists()


@pytest.mark.slow
def test_copy_without_its_log_is_restored_as_far_as_it_goes(former: World) -> None:
    """It lacks what was in the log only; SQLite says it is whole."""
    adopt(former)
    restore_backup(former.site, former.context(), "log left behind.db")
    assert titles_in(former.database) == [f"case {number}" for number in range(5)]


def test_old_and_new_backups_are_one_series(former: World) -> None:
    """Retention counts both; clean-up takes the empty one; the rest stays."""
    adopt(former)
    former.configure(1, keep_count=3)
    former.due_again()
    assert former.check().completed == 1
    mine = {backup.filename for backup in former.present(1)}
    assert set(AUTO[-2:]) < mine
    assert len(mine) == 3
    clean_up_empty(former.site, former.context())
    assert "empty.db" not in former.files()
    assert "before the audit.db" in former.files()
    require_whole(former.site)


def test_global_retention_never_takes_the_protected_and_the_last_good(former: World) -> None:
    """One is kept of all regular ones, beside what is protected."""
    adopt(former)
    apply_retention(former.site, former.context(), 1, None)
    good = [backup for backup in former.present() if backup.status == "ok"]
    assert sum(not backup.is_protected for backup in good) == 1
    assert any(backup.is_protected for backup in good)


def test_adoption_survives_the_loss_of_the_read_models(former: World) -> None:
    """They come back as they were, times of the files included."""
    adopt(former)
    before = former.present()
    former.close()
    for path in former.backups.glob("projections.sqlite*"):
        path.unlink()
    former.open("act")
    assert former.present() == before
    assert isinstance(former.clock, ManualClock)
