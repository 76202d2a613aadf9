"""Databases that are unlike most: very large, without an index of the log, attached, held, slow."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import sys
from contextlib import closing
from pathlib import Path

import pytest

from commands.sqlite import copy_process
from commands.sqlite.copy import Pace
from commands.sqlite.errors import DatabaseBusy
from commands.sqlite.snapshot import Engine, stage_copy, take_snapshot
from tests.commands.sqlite_writers import build, is_consistent, process

BOTH: list[Engine] = ["copy", "backup_api"]
PAGE = 65_536
PAGES = 2**31 // PAGE + 40


def rows(path: Path, question: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        return connection.execute(question).fetchall()


def make_sparse(path: Path) -> None:
    """Over 2 GiB, nearly all of it free pages that take no space; one table lies at the end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={PAGE}")
        connection.execute("CREATE TABLE beyond (id INTEGER PRIMARY KEY, text)")
        connection.execute("INSERT INTO beyond (text) VALUES ('after two gibibytes')")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_schema SET rootpage = ?", (PAGES,))
    lock_page = 2**30 // PAGE + 1  # SQLite never uses the page at its lock bytes
    free = [number for number in range(2, PAGES) if number != lock_page]
    leaves_of_one = PAGE // 4 - 8
    trunks = [free[at : at + leaves_of_one] for at in range(0, len(free), leaves_of_one)]
    with path.open("r+b") as file:
        file.seek(PAGE)
        table = file.read(PAGE)
        file.truncate(PAGES * PAGE)
        for number, (trunk, *leaves) in enumerate(trunks):
            following = trunks[number + 1][0] if number + 1 < len(trunks) else 0
            file.seek((trunk - 1) * PAGE)
            file.write(struct.pack(f">{len(leaves) + 2}I", following, len(leaves), *leaves))
        file.seek((PAGES - 1) * PAGE)
        file.write(table)
        file.seek(28)
        file.write(struct.pack(">3I", PAGES, trunks[0][0], len(free)))


@pytest.mark.slow
@pytest.mark.long
def test_database_of_more_than_two_gibibytes(tmp_path: Path, staged: Path) -> None:
    """What lies behind the last byte that 31 bits can name is there, and the whole is sound."""
    source = tmp_path / "large.db"
    make_sparse(source)
    found = take_snapshot(source, staged, engine="copy")
    assert (found.size, found.engine) == (PAGES * PAGE, "copy")
    assert rows(staged, "SELECT text FROM beyond") == [("after two gibibytes",)]
    staged.unlink()


@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize("page_size", [512, 1024, 8192, 32768, 65536])
def test_page_sizes_with_commits_in_the_log(
    tmp_path: Path, staged: Path, engine: Engine, page_size: int
) -> None:
    """Under a writer that checkpoints."""
    source = build(tmp_path / "x.db", page_size=page_size, padding=500)
    with process("write", source, "restart"):
        assert take_snapshot(source, staged, engine=engine).engine == engine
    assert is_consistent(staged)
    assert rows(staged, "PRAGMA page_size") == [(page_size,)]


@pytest.mark.parametrize("engine", BOTH)
def test_log_whose_index_is_gone(tmp_path: Path, staged: Path, engine: Engine) -> None:
    """As after a copy of a crashed machine's files: database and log, no -shm."""
    source, crashed = build(tmp_path / "x.db", padding=100), tmp_path / "crashed.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE only_in_the_log (x)")
        shutil.copyfile(source, crashed)
        shutil.copyfile(f"{source}-wal", f"{crashed}-wal")
    take_snapshot(crashed, staged, engine=engine)
    assert rows(staged, "SELECT name FROM sqlite_schema WHERE name = 'only_in_the_log'")
    assert is_consistent(staged)


@pytest.mark.parametrize("engine", BOTH)
def test_log_of_no_bytes(tmp_path: Path, staged: Path, engine: Engine) -> None:
    """As after a truncating checkpoint of a connection that is still open."""
    source = build(tmp_path / "x.db", padding=100)
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("UPDATE counter SET moves = moves")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        assert Path(f"{source}-wal").stat().st_size == 0
        take_snapshot(source, staged, engine=engine)
    assert is_consistent(staged)


@pytest.mark.parametrize("engine", BOTH)
def test_attached_databases_are_not_part_of_it(
    tmp_path: Path, staged: Path, engine: Engine
) -> None:
    """A transaction over both is open meanwhile; its main file alone is copied, as it was."""
    source, other = build(tmp_path / "x.db", padding=100), build(tmp_path / "y.db", padding=100)
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS other", (str(other),))
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE other.there (x)")
        connection.execute("CREATE TABLE main.here (x)")
        found = take_snapshot(source, staged, engine=engine)
    assert {each.name for each in found.tables} == {"accounts", "counter", "moves"}
    assert is_consistent(staged)


@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize("auto_vacuum", [1, 2])
def test_auto_vacuum_with_free_pages(
    tmp_path: Path, staged: Path, engine: Engine, auto_vacuum: int
) -> None:
    """Full and incremental: the pointer maps are sound, the setting stays."""
    source = tmp_path / "x.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA auto_vacuum={auto_vacuum}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, pad)")
        connection.executemany(
            "INSERT INTO things (pad) VALUES (?)", ((os.urandom(3000),) for _ in range(300))
        )
        connection.execute("DELETE FROM things WHERE id % 2")
        connection.execute("PRAGMA incremental_vacuum(20)").fetchall()
        take_snapshot(source, staged, engine=engine)
    assert rows(staged, "PRAGMA auto_vacuum") == [(auto_vacuum,)]
    assert rows(staged, "SELECT count(*) FROM things") == [(150,)]


@pytest.mark.slow
@pytest.mark.parametrize("engine", BOTH)
def test_reader_of_another_process_hinders_nobody(
    tmp_path: Path, staged: Path, engine: Engine
) -> None:
    """One that reads all the time, beside a writer that checkpoints."""
    source = build(tmp_path / "x.db", padding=500)
    with process("write", source, "truncate"), process("watch", source):
        take_snapshot(source, staged, engine=engine)
    assert is_consistent(staged)


def test_database_in_exclusive_mode_is_busy(tmp_path: Path, staged: Path) -> None:
    """An application that keeps everybody out cannot be backed up, and it is said so."""
    source = build(tmp_path / "x.db", padding=100)
    with (
        process("hold", source, "PRAGMA locking_mode=EXCLUSIVE"),
        pytest.raises(DatabaseBusy, match="try again later"),
    ):
        take_snapshot(source, staged, wait_seconds=0.05)
    assert list(staged.parent.iterdir()) == []


def test_brake_sleeps_for_what_was_copied_too_early() -> None:
    """Ten bytes a second: after thirty bytes in one second, two more; never when it is late."""
    now, slept = [100.0], []
    brake = copy_process.RateLimiter(10, lambda: now[0], slept.append)
    now[0] = 101.0
    brake.wait(30)
    now[0] = 200.0
    brake.wait(40)
    assert slept == [2.0]
    assert brake.chunk_bytes < copy_process.RateLimiter(0).chunk_bytes


@pytest.mark.slow
@pytest.mark.parametrize("engine", BOTH)
def test_limited_copy_is_whole(tmp_path: Path, staged: Path, engine: Engine) -> None:
    """With a limit, and with niceness, in small pieces."""
    source = build(tmp_path / "x.db")
    told: list[int] = []
    pace = Pace(bytes_per_second=50_000_000, niceness=5)
    with process("write", source, "passive"):
        found = take_snapshot(
            source,
            staged,
            engine=engine,
            pace=pace,
            on_progress=lambda step, done, _: told.append(done) if step == "copy" else None,
        )
    assert found.engine == engine, found.engine_reason
    assert len(told) > 1
    assert is_consistent(staged)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness on Linux only")
def test_niceness_is_the_copys_and_not_ours(tmp_path: Path, staged: Path) -> None:
    """Seen from the copying process's parent while it copies; our own stays as it is."""
    source, before = build(tmp_path / "x.db"), os.nice(0)
    seen: set[int] = set()

    def look(_step: str, _done: int, _total: int) -> None:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()
        seen.update(os.getpriority(os.PRIO_PROCESS, int(child)) for child in children)

    stage_copy(source, staged, engine="copy", on_progress=look, pace=Pace(100_000_000, 7))
    assert min(19, before + 7) in seen
    assert os.nice(0) == before
