"""A snapshot is one whole, consistent file, whatever is done to the source meanwhile."""

import hashlib
import os
import random
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from commands.sqlite.connections import SIDECAR_SUFFIXES, sidecar
from commands.sqlite.errors import (
    DatabaseBusy,
    FileInTheWay,
    NoTables,
    NotADatabase,
    NotEnoughSpace,
    SourceMissing,
    SQLiteFileError,
)
from commands.sqlite.inspection import TableRows, inspect
from commands.sqlite.snapshot import Engine, KnownContent, SnapshotLimits, take_snapshot
from tests.commands.sqlite_writers import ask, build, is_consistent, move, process

BOTH: list[Engine] = ["copy", "backup_api"]
NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, as pytest's are for its own user alone."""
    folder = Path(os.path.realpath(os.environ.get("TMPDIR", "/tmp"))) / f"snapshot-{os.getpid()}"  # noqa: S108
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        return list(connection.iterdump())


@pytest.mark.slow
@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize("checkpoint", ["passive", "restart", "truncate", "none"])
def test_snapshot_is_consistent_while_a_writer_commits_and_checkpoints(
    tmp_path: Path, staged: Path, engine: Engine, checkpoint: str
) -> None:
    """Sum and counter hold in every one of several snapshots, and they move on."""
    source = build(tmp_path / "x.db")
    seen = set()
    with process("write", source, checkpoint):
        for number in range(5):
            copy = staged.with_name(f"{number}.db")
            found = take_snapshot(source, copy, engine=engine)
            assert found.engine == engine, found.engine_reason
            assert is_consistent(copy)
            seen.add(found.sha256)
    assert len(seen) > 1


@pytest.mark.slow
@pytest.mark.parametrize("engine", BOTH)
def test_snapshot_is_consistent_in_rollback_journal_mode(
    tmp_path: Path, staged: Path, engine: Engine
) -> None:
    """There the read lock keeps writers out for as long as it takes."""
    source = build(tmp_path / "x.db", journal="delete")
    with process("write", source, "none"):
        for number in range(4):
            copy = staged.with_name(f"{number}.db")
            assert take_snapshot(source, copy, engine=engine).engine == engine
            assert is_consistent(copy)


def test_plain_copy_of_a_live_database_is_not_consistent(tmp_path: Path) -> None:
    """The control: a file copied in two pieces, with commits and a checkpoint between, is torn."""
    source, copy = build(tmp_path / "x.db"), tmp_path / "copy.db"
    half = source.stat().st_size // 2
    with source.open("rb") as reading, copy.open("wb") as writing:
        writing.write(reading.read(half))
        with process("write", source, "truncate"):
            pass
        writing.write(reading.read())
    assert not is_consistent(copy)


@pytest.mark.slow
@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_snapshot_drops_no_lock_of_our_own_process(
    tmp_path: Path, staged: Path, engine: Engine, journal: str
) -> None:
    """The write lock that this process holds keeps others out before, during and after."""
    source = build(tmp_path / "x.db", journal=journal)
    answers: list[str] = []

    def try_lock(*_: object) -> None:
        if len(answers) < 3:
            answers.append(ask("try_lock", source))

    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try_lock()
        take_snapshot(source, staged, engine=engine, on_progress=try_lock)
        answers.append(ask("try_lock", source))
        connection.execute("COMMIT")
    assert answers == ["SQLITE_BUSY"] * 4
    assert ask("try_lock", source) == "free"


def test_plain_open_and_close_would_have_dropped_the_lock(tmp_path: Path) -> None:
    """The control: this is why the copying is done by another process."""
    source = build(tmp_path / "x.db", journal="delete")
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        source.open("rb").close()
        assert ask("try_lock", source) == "free"


@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize("page_size", [512, 1024, 16384, 65536])
def test_snapshot_keeps_page_size_and_content(
    tmp_path: Path, staged: Path, engine: Engine, page_size: int
) -> None:
    """Row for row the source, with its page size, and described by the result."""
    source = build(tmp_path / "x.db", page_size=page_size, padding=300)
    found = take_snapshot(source, staged, engine=engine)
    assert content(staged) == content(source)
    assert inspect(staged).page_size == page_size
    assert found.sha256 == hashlib.sha256(staged.read_bytes()).hexdigest()
    assert (found.size, found.table_count, found.row_count) == (staged.stat().st_size, 3, 401)
    assert [table.name for table in found.tables] == ["accounts", "counter", "moves"]


@pytest.mark.parametrize("engine", BOTH)
def test_snapshot_has_what_is_only_in_the_log(tmp_path: Path, staged: Path, engine: Engine) -> None:
    """Committed rows that no checkpoint has moved are there, in one file without sidecars."""
    source = build(tmp_path / "x.db")
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("CREATE TABLE late (x)")
        connection.execute("INSERT INTO late VALUES (42)")
        found = take_snapshot(source, staged, engine=engine)
    assert found.table_count == 4
    assert [entry.name for entry in staged.parent.iterdir()] == ["staged.db"]
    with closing(sqlite3.connect(f"file:{staged}?immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert connection.execute("SELECT x FROM late").fetchall() == [(42,)]


@pytest.mark.parametrize("engine", BOTH)
def test_snapshot_of_an_auto_vacuum_database_behind_a_link(
    tmp_path: Path, staged: Path, engine: Engine
) -> None:
    """A symbolic link is followed, also to the log; auto_vacuum is kept."""
    source = tmp_path / "real.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum=FULL")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (randomblob(90000));")
        connection.execute("DELETE FROM t")
        (tmp_path / "sub").mkdir()
        link = tmp_path / "sub" / "link.db"
        link.symlink_to(source)
        assert take_snapshot(link, staged, engine=engine).row_count == 0
    with closing(sqlite3.connect(f"file:{staged}?immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (1,)


@pytest.mark.parametrize("engine", BOTH)
def test_snapshot_after_a_crashed_writer_has_the_state_before(
    tmp_path: Path, staged: Path, engine: Engine
) -> None:
    """A hot journal is rolled back first; the half-written state is never copied."""
    source = build(tmp_path / "x.db", journal="delete")
    assert ask("crash", source) == "written"
    assert sidecar(source, "-journal").stat().st_size > 0
    assert not is_consistent(source)
    take_snapshot(source, staged, engine=engine)
    assert is_consistent(staged)


@pytest.mark.parametrize("engine", BOTH)
def test_snapshot_leaves_the_source_as_it_was(tmp_path: Path, staged: Path, engine: Engine) -> None:
    """Not a byte changes and no sidecar stays."""
    source = build(tmp_path / "x.db")
    before = source.read_bytes()
    take_snapshot(source, staged, engine=engine)
    assert source.read_bytes() == before
    assert not any(sidecar(source, suffix).exists() for suffix in SIDECAR_SUFFIXES)


@pytest.mark.slow
@pytest.mark.parametrize("umask", ["000", "777"])
def test_staged_file_is_private_whatever_the_umask(
    tmp_path: Path, staged: Path, umask: str
) -> None:
    """0600 exactly, by either engine."""
    source = build(tmp_path / "x.db", padding=100)
    assert ask("snapshot", source, staged, umask) == "backup_api"
    assert stat.S_IMODE(staged.stat().st_mode) == 0o600
    staged.unlink()
    build(tmp_path / "large.db", padding=45_000)
    assert ask("snapshot", tmp_path / "large.db", staged, umask) == "copy"
    assert stat.S_IMODE(staged.stat().st_mode) == 0o600


def test_engine_is_chosen_by_size_and_the_reason_is_said(tmp_path: Path, staged: Path) -> None:
    """Small: backup API. Large: copy. No other process to be had: backup API, and why."""
    source = build(tmp_path / "x.db", padding=100)
    small = take_snapshot(source, staged)
    assert (small.engine, small.engine_reason) == ("backup_api", "small database")
    limits = SnapshotLimits(small_bytes=1)
    large = take_snapshot(source, staged.with_name("2.db"), limits=limits)
    assert (large.engine, large.engine_reason) == ("copy", "database of at least 0 MiB")


def test_only_a_copy_of_the_same_bytes_is_not_checked_anew(tmp_path: Path, staged: Path) -> None:
    """What is known is taken as it is: the count of 99 here shows that nothing was counted."""
    source = build(tmp_path / "x.db", padding=100)
    first = take_snapshot(source, staged)
    known = KnownContent(
        "x", first.size, first.sha256, first.schema_fingerprint, 99, (TableRows("t", 99),)
    )
    same = take_snapshot(source, staged.with_name("2.db"), limits=SnapshotLimits(known=known))
    assert (same.row_count, same.tables) == (99, known.tables)
    assert same.engine_reason == "small database; not checked anew: it has the bytes of x"
    limits = SnapshotLimits(known=replace(known, sha256="0" * 64))
    other = take_snapshot(source, staged.with_name("3.db"), limits=limits)
    assert (other.row_count, other.engine_reason) == (first.row_count, "small database")


def test_unusable_sources_are_errors_and_nothing_is_made(tmp_path: Path, staged: Path) -> None:
    """Missing, directory, empty, text, no table of the application's."""
    text, empty = tmp_path / "text.db", tmp_path / "empty.db"
    text.write_text("not a database " * 100)
    empty.touch()
    ours = tmp_path / "ours.db"
    with closing(sqlite3.connect(ours)) as connection:
        connection.executescript("CREATE TABLE backup_runs (x); CREATE VIEW v AS SELECT 1;")
    cases: list[tuple[Path, type[SQLiteFileError]]] = [
        (tmp_path / "missing.db", SourceMissing),
        (tmp_path, NotADatabase),
        (empty, NotADatabase),
        (text, NotADatabase),
        (ours, NoTables),
    ]
    for source, error in cases:
        for engine in BOTH:
            with pytest.raises(error, match=source.name) as caught:
                take_snapshot(source, staged, engine=engine)
            assert isinstance(caught.value, OSError)
            assert "\n" not in str(caught.value)
            assert list(staged.parent.iterdir()) == []
    assert not (tmp_path / "missing.db").exists()


@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_locked_source_is_busy_after_the_wait(
    tmp_path: Path, staged: Path, engine: Engine, journal: str
) -> None:
    """A process that keeps everybody out ends the wait, not the patience of the caller."""
    source = build(tmp_path / "x.db", journal=journal, padding=100)
    exclusive = "PRAGMA locking_mode=EXCLUSIVE" if journal == "wal" else "BEGIN EXCLUSIVE"
    with process("hold", source, exclusive), pytest.raises(DatabaseBusy, match=r"x\.db is locked"):
        take_snapshot(source, staged, engine=engine, wait_seconds=0.05)
    assert list(staged.parent.iterdir()) == []


def test_too_little_space_is_said_with_numbers_before_anything_is_made(
    tmp_path: Path, staged: Path
) -> None:
    """The reserve counts."""
    source = build(tmp_path / "x.db", padding=100)
    with pytest.raises(NotEnoughSpace, match=r"\d+ bytes free, the snapshot needs \d+"):
        take_snapshot(source, staged, limits=SnapshotLimits(reserve_bytes=10**18))
    assert list(staged.parent.iterdir()) == []


def test_existing_file_is_never_overwritten(tmp_path: Path, staged: Path) -> None:
    """Whatever it is."""
    source = build(tmp_path / "x.db", padding=100)
    staged.write_text("precious")
    for engine in BOTH:
        with pytest.raises(FileInTheWay, match=r"staged\.db"):
            take_snapshot(source, staged, engine=engine)
    assert staged.read_text() == "precious"


@pytest.mark.parametrize("engine", BOTH)
def test_failure_of_the_caller_leaves_nothing(tmp_path: Path, staged: Path, engine: Engine) -> None:
    """An interrupt in the middle goes up as it is, and the staged files are gone."""
    source = build(tmp_path / "x.db")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_snapshot(source, staged, engine=engine, on_progress=interrupt)
    assert list(staged.parent.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_read_only_source_is_copied_and_unreadable_one_is_an_error(
    open_folder: Path, journal: str
) -> None:
    """A user who may only read gets a snapshot while the owner has it open; else a clear error."""
    source, staging = build(open_folder / "x.db", journal=journal), open_folder / "staging"
    staging.mkdir()
    os.chown(staging, NOBODY, NOBODY)
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        move(connection, random.Random(1))
        answer = ask("snapshot", source, staging / "1.db", "022", NOBODY)
        assert answer == "backup_api"
        assert is_consistent(staging / "1.db")
        source.chmod(0o600)
        answer = ask("snapshot", source, staging / "2.db", "022", NOBODY)
    assert answer.startswith("FileAccessFailed: SQLite cannot read")
    assert "check the permissions" in answer
