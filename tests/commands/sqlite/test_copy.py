"""The process that copies, and what is done where it cannot."""

import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from commands.sqlite import copy_process
from commands.sqlite.connections import sidecar
from commands.sqlite.copy import (
    CopyFailedError,
    checkpoint_copy,
    copy_by_process,
    reading,
    require_same_shape,
)
from commands.sqlite.files import create_private
from commands.sqlite.snapshot import stage_copy, take_snapshot
from tests.commands.sqlite.test_snapshot import BOTH
from tests.commands.sqlite_writers import build, is_consistent


def test_copying_process_that_fails_is_replaced_by_the_backup_api(
    tmp_path: Path, staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interpreter that is not there: the snapshot is good all the same, and says so."""
    source = build(tmp_path / "x.db", padding=100)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    found = take_snapshot(source, staged, engine="copy")
    assert found.engine == "backup_api"
    assert found.engine_reason.startswith("the copying process failed: it did not start")
    assert is_consistent(staged)


def test_progress_of_the_copy_goes_up_to_the_whole(tmp_path: Path, staged: Path) -> None:
    """Both engines count bytes from something to everything."""
    source = build(tmp_path / "x.db")
    for number, engine in enumerate(BOTH):
        told: list[tuple[str, int, int]] = []
        copy = staged.with_name(f"{number}.db")
        stage_copy(source, copy, engine=engine, on_progress=lambda *call: told.append(call))  # noqa: B023
        assert told[-1] == ("copy", source.stat().st_size, source.stat().st_size)


def test_log_that_restarted_during_the_copy_is_dropped(tmp_path: Path) -> None:
    """Old frames before new ones would take pages back in time; the header gives it away."""
    source = build(tmp_path / "x.db")
    log = sidecar(source, "-wal")
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.executescript("CREATE TABLE a (x); CREATE TABLE b (x);")

        class RestartingMeter(copy_process.Meter):
            def add(self, count: int) -> None:
                connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
                connection.execute("INSERT INTO a VALUES (1)")

        for meter, whole in ((copy_process.Meter(1), True), (RestartingMeter(1), False)):
            copied = tmp_path / "copied-wal"
            descriptor = os.open(log, os.O_RDONLY)
            log_bytes = os.fstat(descriptor).st_size
            assert copy_process.copy_log(descriptor, str(copied), meter, log_bytes) is whole
            os.close(descriptor)
            assert copied.exists() is whole
            copied.unlink(missing_ok=True)


@pytest.mark.parametrize("in_kernel", [True, False])
def test_log_that_grows_faster_than_it_is_copied_ends_the_copy_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_kernel: bool
) -> None:
    """What is added after the copy began is not needed, and would have no end under a limit."""
    if not in_kernel:
        monkeypatch.setattr(copy_process, "copy_in_kernel", lambda *_: 0)
    monkeypatch.setattr(copy_process, "clone", lambda *_: False)
    log, before = tmp_path / "log", os.urandom(1_000_000)
    log.write_bytes(before)
    with log.open("ab", buffering=0) as writer:

        class GrowingMeter(copy_process.Meter):
            def add(self, count: int) -> None:
                self.done += count
                assert self.done <= len(before), "it would have no end"
                writer.write(bytes(2 * count))

        descriptor, copied = os.open(log, os.O_RDONLY), tmp_path / "copied"
        meter = GrowingMeter(1, copy_process.RateLimiter(1e12))
        assert copy_process.copy_log(descriptor, str(copied), meter, len(before))
        os.close(descriptor)
    assert copied.read_bytes() == before


def test_copy_without_the_log_must_be_what_the_transaction_sees(
    tmp_path: Path, staged: Path
) -> None:
    """With nothing in the log the database alone is whole; with a commit in it, it is refused."""
    source = build(tmp_path / "x.db")
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        for number in range(2):
            copy = staged.with_name(f"{number}.db")
            os.close(create_private(copy))
            with reading(source, 1.0) as live:
                copy_by_process(replace(live, uses_wal=False), copy, None)
                shape = checkpoint_copy(copy)
                if number == 0:
                    require_same_shape(live, shape)
                    assert is_consistent(copy)
                else:
                    with pytest.raises(CopyFailedError, match="restarted"):
                        require_same_shape(live, shape)
            connection.execute(f"CREATE TABLE only_in_the_log_{number} (x)")


def test_copying_process_says_what_the_system_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A full disk by its number; a source that is another file now is not copied."""
    source = build(tmp_path / "x.db", padding=100)
    found = source.stat()
    right, wrong = [str(found.st_dev), str(found.st_ino)], ["1", "1"]
    assert copy_process.main([str(source), "/dev/full", "none", *right]) == 1
    assert copy_process.main([str(source), str(tmp_path / "copy"), "none", *wrong]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("error 28 ")
    assert "replaced" in lines[1]
