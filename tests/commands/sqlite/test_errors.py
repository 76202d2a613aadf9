"""Messages say what SQLite said, and only a permission error is called one."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from commands.sqlite import errors
from commands.sqlite.connections import open_live
from commands.sqlite.errors import (
    DatabaseBusy,
    FileAccessFailed,
    NotADatabase,
    NotEnoughSpace,
    translated,
)
from commands.sqlite.snapshot import take_snapshot


def said(code: int, text: str = "what SQLite said") -> sqlite3.Error:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


def test_a_full_disk_is_called_full(tmp_path: Path) -> None:
    """And nothing is said of permissions."""
    error = translated(said(sqlite3.SQLITE_FULL, "database or disk is full"), tmp_path / "x.db")
    assert isinstance(error, NotEnoughSpace)
    assert "is full (database or disk is full)" in str(error)
    assert "permission" not in str(error)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_CANTOPEN])
def test_a_sidecar_that_does_not_fit_is_a_full_disk(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite calls it an input/output error, or a file that it cannot open."""
    (tmp_path / "x.db").touch()
    assert isinstance(translated(said(code), tmp_path / "x.db"), FileAccessFailed)
    usage = os.statvfs(tmp_path)
    full = type("Usage", (), {"free": 0, "total": usage.f_blocks})
    monkeypatch.setattr(errors.shutil, "disk_usage", lambda _folder: full)
    assert isinstance(translated(said(code), tmp_path / "x.db"), NotEnoughSpace)


def test_encryption_is_named_as_a_possibility(tmp_path: Path) -> None:
    """An encrypted database is random bytes to anybody else."""
    path = tmp_path / "x.db"
    path.write_bytes(os.urandom(8_192))
    with pytest.raises(NotADatabase, match=r"or it is encrypted \(file is not a database\)"):
        take_snapshot(path, tmp_path / "copy.db")


def test_a_locked_database_comes_with_advice_on_exclusive_locking(tmp_path: Path) -> None:
    """Waiting never helps where an application keeps the lock between transactions."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as application:
        application.execute("PRAGMA locking_mode=EXCLUSIVE")
        application.execute("CREATE TABLE t (x)")
        with pytest.raises(DatabaseBusy, match="locking_mode=EXCLUSIVE never lets go"):
            take_snapshot(path, tmp_path / "copy.db", wait_seconds=0)


@pytest.mark.parametrize(
    "code",
    [sqlite3.SQLITE_ERROR, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_MISUSE],
)
def test_other_errors_are_no_permission_errors(tmp_path: Path, code: int) -> None:
    """What SQLite said is in the message, whatever it is."""
    text = str(translated(said(code), tmp_path / "x.db"))
    assert "what SQLite said" in text
    assert "permission" not in text


@pytest.mark.parametrize("code", [sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM])
def test_a_permission_error_is_called_one(tmp_path: Path, code: int) -> None:
    assert "check the permissions" in str(translated(said(code), tmp_path / "x.db"))


def test_a_file_that_cannot_be_opened_is_of_permissions_where_the_system_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder at the path of the database cannot be opened either."""
    (tmp_path / "x.db").mkdir()
    with pytest.raises(FileAccessFailed, match="unable to open") as failed:
        open_live(tmp_path / "x.db", 0).execute("SELECT 1 FROM sqlite_schema")
    assert "permission" not in str(failed.value)
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    error = translated(said(sqlite3.SQLITE_CANTOPEN), tmp_path / "x.db")
    assert "check the permissions" in str(error)
