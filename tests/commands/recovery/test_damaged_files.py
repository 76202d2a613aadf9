"""Damage of any kind in the folder: what can't be judged is reported, the rest goes on."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from commands.backups.take import take_backup
from commands.errors import OUR_ERRORS
from commands.recovery.reconcile import reconcile
from commands.restore.plan import plan_restore
from commands.restore.restore import restore_backup
from commands.retention.apply import apply_retention
from commands.sqlite import connections
from commands.sqlite.files import remove_database
from commands.verification.verify import verify_backups
from ledger.sqlite_driver import Connection
from tests.commands.invariants import require_whole
from tests.commands.world import World, titles_in

pytestmark = pytest.mark.slow

HEADER_BYTES = 100
SEED = 20
FLIPS = 25
EVERY = int(os.environ.get("BACKUP_LEDGER_TEST_EVERY", "3"))
"""Each so many values of a byte of the header are tried; 1: all of them."""


def sound_bytes(folder: Path) -> bytes:
    """A database of several small pages: tables, an index, a view, a trigger, an overflow page."""
    path = folder / "sound.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA page_size=512")
        connection.executescript(
            "CREATE TABLE cases (id INTEGER PRIMARY KEY, title TEXT);"
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, note BLOB CHECK (length(note) > 0));"
            "CREATE INDEX by_title ON cases (title);"
            "CREATE VIEW titles AS SELECT title FROM cases;"
            "CREATE TRIGGER no_loss BEFORE DELETE ON cases BEGIN SELECT raise(ABORT, 'no'); END;"
        )
        rows = [(f"case {number}",) for number in range(60)]
        connection.executemany("INSERT INTO cases (title) VALUES (?)", rows)
        connection.execute("INSERT INTO notes (note) VALUES (zeroblob(1500))")
        connection.commit()
    return path.read_bytes()


def damaged_copies(sound: bytes) -> Iterator[tuple[str, bytes]]:
    """Headers, the schema's page, pages within, truncations, garbage: the same ones each time."""
    dice = random.Random(SEED)
    for place in range(HEADER_BYTES):
        values = {0x00, 0xFF, sound[place] ^ 0x80, sound[place] ^ 0x01} - {sound[place]}
        for value in sorted(values)[place % EVERY :: EVERY]:
            yield f"header-{place}-{value}", changed(sound, place, value)
    schema = [place for place in range(HEADER_BYTES, 2048) if 0x20 <= sound[place] < 0x7F]
    for place in dice.sample(schema, min(FLIPS, len(schema))):
        yield f"schema-{place}", changed(sound, place, 0x80 | sound[place])
    for place in dice.sample(range(HEADER_BYTES, len(sound)), FLIPS):
        yield f"inside-{place}", changed(sound, place, sound[place] ^ (1 << dice.randrange(8)))
    for size in (1, 15, 16, 99, 100, 511, 512, 513, 1024, len(sound) // 2, len(sound) - 1):
        yield f"cut-{size}", sound[:size]
    for page in range(len(sound) // 512):
        yield f"zeroed-{page}", sound[: page * 512] + bytes(512) + sound[(page + 1) * 512 :]
        yield (
            f"noise-{page}",
            (sound[: page * 512] + dice.randbytes(512) + sound[(page + 1) * 512 :]),
        )
    yield "garbage", dice.randbytes(len(sound))
    yield "garbage-after-magic", sound[:16] + dice.randbytes(len(sound))
    yield "foreign-bytes", sound.replace(b"CREATE TABLE notes", b"CREAT\x8a TABLE notes")


def changed(data: bytes, place: int, value: int) -> bytes:
    return data[:place] + bytes([value]) + data[place + 1 :]


def test_no_damaged_file_stops_list_verify_or_retention(world: World, tmp_path: Path) -> None:
    """Every damaged file is adopted or reported; the good backup can be planned and restored."""
    site, context = world.site, world.context()
    good = take_backup(site, context, filename="good.db")
    copies = dict(damaged_copies(sound_bytes(tmp_path)))
    an_hour_ago = (world.clock.now() - timedelta(hours=1)).timestamp()
    for name, data in copies.items():
        path = world.backups / f"{name}.db"
        path.write_bytes(data)
        os.utime(path, (an_hour_ago, an_hour_ago))  # retention counts none that is dated ahead
    result = reconcile(site, context)
    judged = {*result.adopted, *result.left_alone}
    assert judged == {f"{name}.db" for name in copies}
    status = {backup.filename: backup.status for backup in world.present()}
    assert status["good.db"] == "ok"
    assert status["foreign-bytes.db"] == status["garbage.db"] == status["cut-100.db"] == "corrupt"
    for level in ("integrity", "drill"):
        checked = list(verify_backups(site, context, world.present(), level))
        assert {each.backup.filename for each in checked} == set(status)
        assert [each.failure for each in checked if each.failure is not None] == []
    assert plan_restore(site, "good.db").mode == "transaction"
    assert restore_backup(site, context, "good.db").plan.backup.backup_id == good.backup_id
    apply_retention(site, context, 3, None)
    assert sum(each.status == "ok" and not each.is_protected for each in world.present()) == 3
    require_whole(site)


def test_restoring_what_sqlite_does_not_notice_is_whole_or_refused(
    world: World, tmp_path: Path
) -> None:
    """A damaged file that was adopted as it is: restored, or a clear error and nothing touched."""
    site, context = world.site, world.context()
    take_backup(site, context, filename="good.db")
    before = titles_in(world.database)
    copies = [*damaged_copies(sound_bytes(tmp_path))][::9]
    for name, data in copies:
        (world.backups / f"{name}.db").write_bytes(data)
    reconcile(site, context)
    outcomes: set[str] = set()
    for backup in [each for each in world.present() if each.filename != "good.db"]:
        try:
            restore_backup(site, context, backup.filename, force=True)
        except OUR_ERRORS:
            outcomes.add("refused")
            assert titles_in(world.database) == before, backup.filename
        else:
            outcomes.add("restored")
            restore_backup(site, context, "good.db", force=True)
            assert titles_in(world.database) == before, backup.filename
    assert outcomes == {"refused", "restored"}


def test_damaged_source_is_an_error_of_ours_and_its_bytes_can_be_replaced(
    world: World, tmp_path: Path
) -> None:
    """Whatever the live database has become: backing up ends clearly, restoring works."""
    site, context = world.site, world.context()
    take_backup(site, context, filename="good.db")
    expected = titles_in(world.database)
    for name, data in [*damaged_copies(sound_bytes(tmp_path))][::13]:
        remove_database(world.database)
        world.database.write_bytes(data)
        with suppress(*OUR_ERRORS):
            take_backup(site, context, filename=f"of-{name}.db")
        restore_backup(site, context, "good.db", force=True)
        assert titles_in(world.database) == expected, name


CODES = {
    name: value
    for name, value in vars(sqlite3).items()
    if name
    in {
        *("SQLITE_ERROR", "SQLITE_INTERNAL", "SQLITE_PERM", "SQLITE_ABORT", "SQLITE_BUSY"),
        *("SQLITE_LOCKED", "SQLITE_NOMEM", "SQLITE_READONLY", "SQLITE_INTERRUPT", "SQLITE_IOERR"),
        *("SQLITE_CORRUPT", "SQLITE_NOTFOUND", "SQLITE_FULL", "SQLITE_CANTOPEN"),
        *("SQLITE_PROTOCOL", "SQLITE_EMPTY", "SQLITE_SCHEMA", "SQLITE_TOOBIG", "SQLITE_MISMATCH"),
        *("SQLITE_CONSTRAINT", "SQLITE_MISUSE", "SQLITE_NOLFS", "SQLITE_FORMAT", "SQLITE_RANGE"),
        *("SQLITE_AUTH", "SQLITE_NOTADB"),
    }
}


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
@pytest.mark.parametrize("message", [b"it says so", b"it says \xff so"], ids=["text", "bytes"])
def test_each_error_of_sqlites_concerns_one_file(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, message: bytes
) -> None:
    """Whatever SQLite answers for one file, it is adopted or left alone, and the next one is."""

    class Failing(Connection):
        """SQLite's answer to the checks of one file."""

        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            path = super().execute("PRAGMA database_list").fetchone()[2]
            if Path(path).name == "one.db" and "check" in sql:
                text = message.decode("utf-8", "backslashreplace")
                error = sqlite3.DatabaseError(text)
                if code == sqlite3.SQLITE_ERROR:
                    error = sqlite3.OperationalError(text)
                error.sqlite_errorcode = code
                raise error
            return super().execute(sql, parameters)

    site, context = world.site, world.context()
    sound = sound_bytes(tmp_path)
    for name in ("one", "two"):
        (world.backups / f"{name}.db").write_bytes(sound)
    with monkeypatch.context() as patch:
        patch.setattr(connections, "Connection", Failing)
        result = reconcile(site, context)
    assert "two.db" in result.adopted
    assert {*result.adopted, *result.left_alone} == {"one.db", "two.db"}
    assert reconcile(site, context).left_alone == []
    assert {each.filename for each in world.present()} == {"one.db", "two.db"}
