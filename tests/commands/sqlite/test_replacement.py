"""Taking the place of a database that no transaction can bring over."""

import hashlib
import os
import random
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from commands.sqlite.connections import SIDECAR_SUFFIXES, sidecar
from commands.sqlite.errors import (
    DatabaseBusy,
    NotADatabase,
    PageSizeDiffers,
    SourceMissing,
)
from commands.sqlite.restore_into import (
    needs_replacement,
    replace_target,
    restore_into,
    schema_version,
    sole_access,
)
from commands.sqlite.snapshot import take_snapshot
from tests.commands.sqlite.conftest import move_on
from tests.commands.sqlite.test_restore_into import journal_of, state
from tests.commands.sqlite_writers import (
    ask,
    build,
    holds,
    is_consistent,
    move,
)


def test_another_page_size_needs_replacement_in_wal_mode_only(tmp_path: Path, target: Path) -> None:
    """A typed error and the reason for WAL; a rollback-mode target takes it in a transaction."""
    small = build(tmp_path / "small.db", page_size=1024)
    backup = take_snapshot(small, tmp_path / "small-backup.db").path
    if journal_of(target) == "wal":
        assert needs_replacement(target, backup) == "page_size"
        with pytest.raises(PageSizeDiffers, match="pages of 4096 bytes, the backup of 1024"):
            restore_into(target, backup)
        assert state(target)[::2] == (3, True)
    else:
        assert needs_replacement(target, backup) is None
        restore_into(target, backup)
        assert state(target) == (0, "delete", True)


@pytest.mark.slow
def test_target_open_elsewhere_is_not_replaced(tmp_path: Path, backup: Path) -> None:
    """In WAL mode even a connection at rest counts; nothing is changed."""
    target = build(tmp_path / "live.db")
    with closing(sqlite3.connect(target, isolation_level=None)) as connection:
        move(connection, random.Random(1))
        before = ask("sha256", target)
        with pytest.raises(DatabaseBusy, match="open in another connection"):
            replace_target(target, backup, wait_seconds=0.0)
        assert ask("sha256", target) == before
        assert sidecar(target, "-wal").exists()
        assert backup.exists()


def test_replacement_of_a_sound_target_removes_the_log_of_the_old(
    tmp_path: Path, backup: Path
) -> None:
    """A log left by a crash is never replayed over the new file, nor made again by the lock."""
    origin, target = build(tmp_path / "crashed.db"), tmp_path / "live.db"
    with closing(sqlite3.connect(origin, isolation_level=None)) as connection:
        move(connection, random.Random(1))
        for suffix in ("", "-wal"):
            sidecar(target, suffix).write_bytes(sidecar(origin, suffix).read_bytes())
    target.chmod(0o640)
    expected = hashlib.sha256(backup.read_bytes()).hexdigest()
    replace_target(target, backup)
    assert ask("sha256", target) == expected
    assert not any(sidecar(target, suffix).exists() for suffix in SIDECAR_SUFFIXES)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert not backup.exists()


def test_lock_of_a_replaced_target_does_not_remove_the_log_of_the_new_one(
    tmp_path: Path, backup: Path
) -> None:
    """Whoever opens the new file before the lock on the old one is let go keeps their log."""
    target = build(tmp_path / "live.db")
    move_on(target, 1)
    with sole_access(target):
        os.replace(backup, target)
        writer = sqlite3.connect(target, isolation_level=None)
        writer.execute("PRAGMA journal_mode=WAL")
        move(writer, random.Random(1))
    assert sidecar(target, "-wal").stat().st_size > 0
    assert holds(writer)
    assert writer.execute("SELECT moves FROM counter").fetchone() == (9,)
    writer.close()


def test_missing_target_is_made_private_without_old_sidecars(tmp_path: Path, backup: Path) -> None:
    """A log that outlived its database belongs to nothing."""
    target = tmp_path / "gone.db"
    sidecar(target, "-wal").write_bytes(b"old")
    sidecar(target, "-journal").write_bytes(b"old")
    assert needs_replacement(target, backup) == "missing"
    with pytest.raises(SourceMissing):
        restore_into(target, backup)
    replace_target(target, backup)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert is_consistent(target)
    assert [path for path in tmp_path.iterdir() if path.name.startswith("gone.db-")] == []


@pytest.mark.parametrize("damage", ["text", "truncated", "schema"])
def test_damaged_target_is_replaced(tmp_path: Path, backup: Path, damage: str) -> None:
    """Whatever SQLite cannot read is not an obstacle; the former permissions stay."""
    target = build(tmp_path / "live.db", journal="delete")
    content = bytearray(target.read_bytes())
    if damage == "text":
        content[:] = b"no database" * 1000
    elif damage == "truncated":
        content[9000:] = b""
    else:
        content[100:4096] = b"\xee" * 3996
    target.write_bytes(content)
    target.chmod(0o604)
    assert needs_replacement(target, backup) == "damaged"
    replace_target(target, backup)
    assert state(target)[::2] == (8, True)
    assert stat.S_IMODE(target.stat().st_mode) == 0o604


def test_replacement_follows_a_symbolic_link(tmp_path: Path, backup: Path) -> None:
    """The file it points at is replaced, the link stays."""
    real = build(tmp_path / "real.db")
    link = tmp_path / "link.db"
    link.symlink_to(real)
    replace_target(link, backup)
    assert link.is_symlink()
    assert state(real)[0] == 8


def test_empty_target_takes_a_transaction_and_a_directory_is_refused(
    tmp_path: Path, backup: Path
) -> None:
    """To SQLite an empty file is a database; a folder is none."""
    target = tmp_path / "empty.db"
    target.touch()
    assert needs_replacement(target, backup) is None
    assert schema_version(target) is None
    restore_into(target, backup)
    assert state(target)[::2] == (8, True)
    with pytest.raises(NotADatabase):
        needs_replacement(tmp_path, backup)
