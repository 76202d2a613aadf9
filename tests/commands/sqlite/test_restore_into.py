"""A restore is the old content or the new, for everybody, at every moment."""

import hashlib
import os
import random
import sqlite3
import stat
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
    FileInTheWay,
    NotADatabase,
    PageSizeDiffers,
    SourceMissing,
)
from commands.sqlite.inspection import schema_fingerprint
from commands.sqlite.restore_into import (
    copy_file,
    needs_replacement,
    replace_target,
    restore_into,
    schema_version,
    sole_access,
)
from commands.sqlite.snapshot import take_snapshot
from tests.commands.sqlite_writers import (
    ROOT,
    ask,
    build,
    holds,
    is_consistent,
    move,
    process,
)

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


def move_on(path: Path, count: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for number in range(count):
            move(connection, random.Random(number))


def state(path: Path) -> tuple[int, str, bool]:
    """Moves, journal mode and soundness, as a new connection sees them."""
    with closing(sqlite3.connect(path)) as connection:
        (moves,) = connection.execute("SELECT moves FROM counter").fetchone()
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        return moves, mode, holds(connection)


def journal_of(path: Path) -> str:
    return state(path)[1]


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


def test_reader_holds_up_a_restore_in_rollback_mode_only(target: Path, backup: Path) -> None:
    """In WAL mode readers keep what they see; else the restore waits for them, and says busy."""
    with process("hold", target, "BEGIN"):
        if journal_of(target) == "wal":
            restore_into(target, backup, wait_seconds=0.1)
        else:
            with pytest.raises(DatabaseBusy):
                restore_into(target, backup, wait_seconds=0.1)
    assert state(target)[0] == (8 if journal_of(target) == "wal" else 3)


def test_restore_waits_for_a_writer_that_ends(target: Path, backup: Path) -> None:
    """A lock that goes away in time is no error; the deadline is the injected clock's."""

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
    """Whatever SQLite cannot read is no obstacle; the former permissions stay."""
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


def test_copy_file_makes_a_private_copy_and_never_overwrites(tmp_path: Path, backup: Path) -> None:
    """The hash is of what was written; a file in the way stays as it is."""
    copy = tmp_path / "copy.db"
    told: list[tuple[str, int, int]] = []
    digest = copy_file(backup, copy, lambda *call: told.append(call))
    assert copy.read_bytes() == backup.read_bytes()
    assert digest == hashlib.sha256(copy.read_bytes()).hexdigest()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert told[-1] == ("copy", copy.stat().st_size, copy.stat().st_size)
    with pytest.raises(FileInTheWay, match=r"copy\.db"):
        copy_file(tmp_path / "origin.db", copy)
    assert copy.read_bytes() == backup.read_bytes()


def test_copy_file_that_fails_leaves_nothing(tmp_path: Path, backup: Path) -> None:
    """A missing source, or an interrupt in the middle."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SourceMissing, match=r"none\.db"):
        copy_file(tmp_path / "none.db", tmp_path / "copy.db")
    with pytest.raises(KeyboardInterrupt):
        copy_file(backup, tmp_path / "copy.db", interrupt)
    assert not (tmp_path / "copy.db").exists()
