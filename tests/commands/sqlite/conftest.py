"""A live database, a finished backup of another one, and a place for a new copy."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from commands.sqlite.snapshot import take_snapshot
from tests.commands.sqlite_writers import build, move

JOURNALS = ["wal", "delete"]


@pytest.fixture(params=JOURNALS)
def target(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The live database: three moves old, so that it differs from the backup."""
    path = build(tmp_path / "live.db", journal=request.param)
    move_on(path, 3)
    return path


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A finished backup of another database, eight moves old, with one more table."""
    path = build(tmp_path / "origin.db")
    move_on(path, 8)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE only_in_backup (x)")
    return take_snapshot(path, tmp_path / "backup.db").path


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    folder = tmp_path / "staging"
    folder.mkdir()
    return folder / "staged.db"


def move_on(path: Path, count: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for number in range(count):
            move(connection, random.Random(number))
