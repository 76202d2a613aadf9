"""A restore is the old content or the new, for everybody, at every moment."""

import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from commands.sqlite import restore_into as sqlite_restore
from commands.sqlite.connections import SIDECAR_SUFFIXES, sidecar
from commands.sqlite.errors import (
    DatabaseBusy,
    NotADatabase,
    SourceMissing,
)
from commands.sqlite.inspection import schema_fingerprint
from commands.sqlite.restore_into import (
    needs_replacement,
    restore_into,
    schema_version,
    sole_access,
)
from tests.commands.sqlite.conftest import JOURNALS
from tests.commands.sqlite_writers import (
    ROOT,
    ask,
    build,
    holds,
    move,
    process,
)


def state(path: Path) -> tuple[int, str, bool]:
    """Moves, journal mode and soundness, as a new connection sees them."""
    with closing(sqlite3.connect(path)) as connection:
        (moves,) = connection.execute("SELECT moves FROM counter").fetchone()
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        return moves, mode, holds(connection)


def journal_of(path: Path) -> str:
    return state(path)[1]


@pytest.mark.slow
def test_restore_brings_the_backups_content_and_keeps_the_journal_mode(
    target: Path, backup: Path
) -> None:
    """The counter is the backup's, the mode the target's, the schema version one more."""
    mode, before, digest = journal_of(target), schema_version(target), ask("sha256", backup)
    told: list[tuple[str, int, int]] = []
    result = restore_into(target, backup, on_progress=lambda *call: told.append(call))
    assert state(target) == (8, mode, True)
    assert before is not None
    assert (result.mode, result.schema_version) == ("transaction", before + 1)
    assert schema_version(target) == before + 1
    assert told[-1][:2] == ("restore", told[-1][2])
    with (
        closing(sqlite3.connect(target)) as live,
        closing(sqlite3.connect(f"file:{backup}?immutable=1", uri=True)) as kept,
    ):
        assert schema_fingerprint(live) == schema_fingerprint(kept)
    assert ask("sha256", backup) == digest
    assert not any(sidecar(backup, suffix).exists() for suffix in SIDECAR_SUFFIXES)


@pytest.mark.slow
def test_lock_taken_right_after_the_restore_is_no_failure(target: Path, backup: Path) -> None:
    """The new content is in: somebody who locks it then must not make it look undone."""
    before = schema_version(target)
    holder = sqlite3.connect(target, isolation_level=None, check_same_thread=False)

    def lock_at_the_end(_step: str, done: int, total: int) -> None:
        if done == total:
            holder.execute("BEGIN EXCLUSIVE")

    with closing(holder):
        result = restore_into(target, backup, on_progress=lock_at_the_end)
    assert before is not None
    assert result.schema_version == before + 1
    assert state(target)[::2] == (8, True)


def test_readers_in_another_process_see_old_then_new_and_nothing_between(
    target: Path, backup: Path
) -> None:
    """A reader that looks all the time sees exactly two states, both whole."""
    with process("watch", target) as reader:
        assert reader.stdout is not None
        assert reader.first_line == "3 True"  # type: ignore[attr-defined]
        restore_into(target, backup)
        assert reader.stdout.readline().strip() == "8 True"
        assert reader.stdin is not None
        reader.stdin.close()
        assert reader.stdout.read() == ""


def test_open_connection_of_our_own_process_goes_on_with_the_new_content(
    target: Path, backup: Path
) -> None:
    """The application in this process keeps its connection, also with prepared statements."""
    with closing(sqlite3.connect(target, isolation_level=None)) as connection:
        assert connection.execute("SELECT moves FROM counter").fetchone() == (3,)
        restore_into(target, backup)
        assert connection.execute("SELECT moves FROM counter").fetchone() == (8,)
        move(connection, random.Random(1))
        assert holds(connection)


@pytest.mark.slow
@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_target_locked_by_a_writer_is_busy_and_untouched(
    target: Path, backup: Path, statement: str
) -> None:
    """The wait ends by itself; not a byte of the target has changed."""
    with process("hold", target, statement):
        before = ask("sha256", target)
        with pytest.raises(DatabaseBusy, match=r"live\.db"):
            restore_into(target, backup, wait_seconds=0.1)
        assert ask("sha256", target) == before
    assert state(target)[::2] == (3, True)


@pytest.mark.slow
def test_reader_holds_up_a_restore_in_rollback_mode_only(target: Path, backup: Path) -> None:
    """In WAL mode readers keep what they see; else the restore waits for them, and says busy."""
    with process("hold", target, "BEGIN"):
        if journal_of(target) == "wal":
            restore_into(target, backup, wait_seconds=0.1)
        else:
            with pytest.raises(DatabaseBusy):
                restore_into(target, backup, wait_seconds=0.1)
    assert state(target)[0] == (8 if journal_of(target) == "wal" else 3)


@pytest.mark.slow
def test_restore_waits_for_a_writer_that_ends(target: Path, backup: Path) -> None:
    """A lock that goes away in time is not an error; the deadline is the injected clock's."""

    def monotonic() -> Iterator[float]:
        yield 0.0  # the start
        assert writer.stdin is not None
        writer.stdin.close()  # asked for the first time while busy: the writer ends
        while True:
            yield 0.0

    with process("hold", target, "BEGIN IMMEDIATE") as writer:
        clock = monotonic()
        restore_into(target, backup, wait_seconds=5.0, monotonic=lambda: next(clock))
    assert state(target)[0] == 8


@pytest.mark.slow
@pytest.mark.parametrize("mode", JOURNALS)
def test_restore_of_another_file_drops_no_lock_of_our_own_process(
    tmp_path: Path, target: Path, backup: Path, mode: str
) -> None:
    """The write lock that this process holds elsewhere keeps others out all the time."""
    other = build(tmp_path / "other.db", journal=mode, padding=100)
    answers = []
    with closing(sqlite3.connect(other, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        answers.append(ask("try_lock", other))
        restore_into(target, backup, on_progress=lambda *_: answers.append(ask("try_lock", other)))
        answers.append(ask("try_lock", other))
        assert schema_version(other) is not None
        answers.append(ask("try_lock", other))
    assert set(answers) == {"SQLITE_BUSY"}
    assert len(answers) > 3


@pytest.mark.slow
def test_looking_at_a_target_drops_no_lock_of_our_own_process(target: Path, backup: Path) -> None:
    """needs_replacement, schema_version and a refused restore leave the application's lock."""
    with closing(sqlite3.connect(target, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert needs_replacement(target, backup) is None
        assert schema_version(target) is not None
        with pytest.raises(DatabaseBusy):
            restore_into(target, backup, wait_seconds=0.0)
        with pytest.raises(DatabaseBusy), sole_access(target, 0.0):
            pass
        assert ask("try_lock", target) == "SQLITE_BUSY"


@pytest.mark.parametrize("last_call", [1, 2, 50, 250])
def test_restore_killed_in_the_middle_leaves_the_old(
    target: Path, backup: Path, last_call: int
) -> None:
    """SIGKILL after so many pages: everything is as before, and the next restore works."""
    before = schema_version(target)
    assert ask("restore", target, backup, last_call) == "begun"
    mode = journal_of(target)
    assert state(target) == (3, mode, True)
    assert schema_version(target) == before
    restore_into(target, backup)
    assert state(target) == (8, mode, True)


@pytest.mark.slow
def test_restore_killed_at_any_time_leaves_old_or_new(target: Path, backup: Path) -> None:
    """SIGKILL after random pauses: old or new, sound either way, told apart by the version."""
    rng, mode = random.Random(7), journal_of(target)
    command = [sys.executable, "-m", "tests.commands.sqlite_writers", "restore"]
    for _ in range(5):
        before, moves = schema_version(target), state(target)[0]
        victim = subprocess.Popen(
            [*command, str(target), str(backup), "0"], cwd=ROOT, stdout=subprocess.PIPE
        )
        with victim:
            assert victim.stdout is not None
            assert victim.stdout.readline() == b"begun\n"
            time.sleep(rng.random() / 50)
            victim.kill()
        after = schema_version(target)
        assert before is not None
        assert after in (before, before + 1)
        assert state(target) == (moves if after == before else 8, mode, True)


def test_failure_of_the_caller_leaves_the_old(
    target: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt from the progress goes up, and the transaction is rolled back."""
    monkeypatch.setattr(sqlite_restore, "STEP_BYTES", 64 * 1024)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_into(target, backup, on_progress=interrupt)
    assert state(target)[::2] == (3, True)


def test_bad_backup_is_an_error_before_the_target_is_touched(tmp_path: Path, target: Path) -> None:
    """Missing, or of another format."""
    text = tmp_path / "text.db"
    text.write_text("text" * 1000)
    before = ask("sha256", target)
    for backup, error in ((tmp_path / "none.db", SourceMissing), (text, NotADatabase)):
        with pytest.raises(error, match=backup.name):
            restore_into(target, backup)
    assert ask("sha256", target) == before


def test_schema_version_of_what_is_no_database_is_none(tmp_path: Path) -> None:
    """Missing and text files have none, and are not made."""
    text = tmp_path / "text.db"
    text.write_text("text" * 1000)
    assert schema_version(text) is None
    assert schema_version(tmp_path / "missing.db") is None
    assert not (tmp_path / "missing.db").exists()
