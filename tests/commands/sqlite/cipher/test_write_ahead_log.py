"""A log taken into its database by hand gives what SQLite's own checkpoint gives."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from commands.sqlite.cipher.write_ahead_log import committed_pages, fold_log
from tests.commands.encrypted import TOTAL, make_encrypted, opened, total_of


def live_copy(folder: Path, *, page_size: int = 4096) -> tuple[Path, Path]:
    """Database and log of an application that has written and not checkpointed; copied."""
    path, copy = folder / "app.db", folder / "copy.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={page_size}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, pad TEXT)")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        for number in range(60):
            connection.execute("INSERT INTO t VALUES (?, ?)", (number, "x" * 300))
        connection.execute("DELETE FROM t WHERE id < 50")
        shutil.copy(path, copy)
        shutil.copy(f"{path}-wal", f"{copy}-wal")
    return copy, Path(f"{copy}-wal")


def ids_in(path: Path) -> list[int]:
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [row[0] for row in connection.execute("SELECT id FROM t ORDER BY id")]


@pytest.mark.parametrize("page_size", [512, 4096, 65536])
def test_every_committed_page_gets_to_its_place(tmp_path: Path, page_size: int) -> None:
    """The database then has the size and the content of the last commit, and no log."""
    copy, log = live_copy(tmp_path, page_size=page_size)
    fold_log(copy, log)
    assert not log.exists()
    assert ids_in(copy) == list(range(50, 60))


def test_a_torn_end_is_a_transaction_that_never_was(tmp_path: Path) -> None:
    """As after a crash: frames count up to the last commit whose checksums fit."""
    copy, log = live_copy(tmp_path)
    whole = log.read_bytes()
    log.write_bytes(whole[:-100])
    fold_log(copy, log)
    assert ids_in(copy) == list(range(60))  # the deletion was the last transaction


def test_frames_of_an_older_log_behind_newer_ones_do_not_count(tmp_path: Path) -> None:
    """After a restart the rest of the file holds frames with other salts."""
    _copy, log = live_copy(tmp_path)
    content = bytearray(log.read_bytes())
    frame = 32 + 24 + 4096
    (salt,) = struct.unpack_from(">I", content, frame + 8)
    struct.pack_into(">I", content, frame + 8, salt ^ 1)
    log.write_bytes(content)
    with log.open("rb") as file:
        found = committed_pages(file)
    assert found is not None
    assert len(found.places) == 1


@pytest.mark.parametrize("content", [b"", b"\0" * 31, b"\0" * 32, b"\x37\x7f\x06\x82" + b"1" * 60])
def test_what_is_no_log_adds_nothing(tmp_path: Path, content: bytes) -> None:
    """An empty one, half a header, a header whose checksum is wrong."""
    copy, log = live_copy(tmp_path)
    before = copy.read_bytes()
    log.write_bytes(content)
    fold_log(copy, log)
    assert copy.read_bytes() == before


def test_encrypted_pages_are_moved_without_the_key(tmp_path: Path) -> None:
    """SQLCipher's log is SQLite's, of encrypted pages."""
    path, copy = make_encrypted(tmp_path / "app.db"), tmp_path / "copy.db"
    with closing(opened(path)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("UPDATE accounts SET balance = balance + 1")
        shutil.copy(path, copy)
        shutil.copy(f"{path}-wal", f"{copy}-wal")
    fold_log(copy, Path(f"{copy}-wal"))
    assert total_of(copy) == TOTAL + 300
