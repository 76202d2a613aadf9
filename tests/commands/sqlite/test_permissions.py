"""Whose a restored database is, who may read it, and how it keeps its journal."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from commands.sqlite.permissions import belongings_of, give, journal_mode, set_wal
from tests.commands.world import make_database, mode_of

IS_ROOT = os.geteuid() == 0


def test_file_that_is_replaced_says_it(tmp_path: Path) -> None:
    """Whatever its folder is like."""
    database = make_database(tmp_path / "app.db")
    database.chmod(0o640)
    tmp_path.chmod(0o770)
    found = belongings_of(database)
    assert (found.mode, found.because) == (0o640, "the file it replaces")
    assert (found.owner, found.group) == (database.stat().st_uid, database.stat().st_gid)


@pytest.mark.parametrize(
    ("suffix", "is_wal"), [("-wal", True), ("-shm", True), ("-journal", False)]
)
def test_log_that_was_left_says_it_where_the_database_is_missing(
    tmp_path: Path, suffix: str, is_wal: bool
) -> None:
    """SQLite gave it what the database had."""
    log = tmp_path / f"app.db{suffix}"
    log.touch()
    log.chmod(0o660)
    found = belongings_of(tmp_path / "app.db")
    assert (found.mode, found.is_wal, found.because) == (0o660, is_wal, "the log that was left")


@pytest.mark.parametrize(
    ("folder", "mode"), [(0o700, 0o600), (0o755, 0o600), (0o770, 0o660), (0o777, 0o660)]
)
def test_folder_says_it_where_nothing_is_left(tmp_path: Path, folder: int, mode: int) -> None:
    """The group gets what it has in the folder; everybody else gets nothing."""
    tmp_path.chmod(folder)
    found = belongings_of(tmp_path / "app.db")
    assert (found.mode, found.is_wal, found.because) == (mode, False, "its folder")
    assert found.owner == tmp_path.stat().st_uid


@pytest.mark.skipif(not IS_ROOT, reason="only root gives files away")
def test_root_gives_the_file_to_the_application(tmp_path: Path) -> None:
    """Or the application could not open what root restored."""
    os.chown(tmp_path, 1234, 2345)
    staged = tmp_path / "staged"
    staged.touch()
    give(staged, belongings_of(tmp_path / "app.db"))
    assert (staged.stat().st_uid, staged.stat().st_gid) == (1234, 2345)
    assert mode_of(staged) == 0o600


def test_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    """Somebody else's file must not change hands."""
    victim = tmp_path / "victim"
    victim.touch(mode=0o600)
    staged = tmp_path / "staged"
    staged.symlink_to(victim)
    tmp_path.chmod(0o770)
    with pytest.raises(OSError, match="symbolic"):
        give(staged, belongings_of(tmp_path / "app.db"))
    assert mode_of(victim) == 0o600


def test_log_is_set_again_unless_somebody_is_in_the_way(tmp_path: Path) -> None:
    """What cannot be done is said, and harms nothing."""
    database = tmp_path / "app.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE cases (title)")
    assert journal_mode(database) == "delete"
    assert set_wal(database)
    assert journal_mode(database) == "wal"
    assert not set_wal(tmp_path / "missing.db")
    assert journal_mode(tmp_path / "missing.db") is None
