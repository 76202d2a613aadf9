"""Copying a ledger there and back: record for record, root for root, whatever comes between."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.engine import Engine

from commands.audit.keys import make_key, read_private_key
from commands.upkeep.copy_ledger import copy_between
from ledger.append import copy as copying
from ledger.append.copy import copy_ledger
from ledger.append.database import database_url, open_engine
from ledger.append.kept_checkpoints import sign_head
from ledger.append.leases_and_names import EXPIRED, all_leases
from ledger.append.ledger import Draft, Ledger
from ledger.append.reading import Head, StoredRecord, read_head, read_records
from ledger.append.tables import checkpoints, events, names
from ledger.clock import ManualClock
from ledger.errors import CopyRefused, LedgerBroken, LedgerMissing, NotALedger
from ledger.events.catalog import BackupCreated
from ledger.events.housekeeping import ProjectionRebuilt
from ledger.events.scheduling import BackupStarted
from ledger.verify.verify import verify
from tests.conftest import START
from tests.databases import Databases, PostgreSQLDatabases, SQLiteDatabases
from tests.postgresql_server import Server
from tests.sample_events import CONTEXT, draft

SIZE = 600
FILLING = ProjectionRebuilt(name="none", version=1, position=0, rows=0, reason="filling")
OpenAt = Callable[[str], Engine]


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "BATCH_RECORDS", 50)


@pytest.fixture
def server_side(postgresql: Server) -> PostgreSQLDatabases:
    return PostgreSQLDatabases(postgresql)


@pytest.fixture
def open_at() -> Iterator[OpenAt]:
    """Engines by URL; all are closed in the end."""
    opened: list[Engine] = []

    def open_one(url: str) -> Engine:
        opened.append(open_engine(database_url(url)))
        return opened[-1]

    yield open_one
    for each in opened:
        each.dispose()


@pytest.fixture
def source_url(tmp_path: Path) -> str:
    """A ledger with a claim, a backup and a signed checkpoint half-way."""
    url = SQLiteDatabases().url_of(tmp_path / "source.sqlite")
    ledger = SQLiteDatabases().open_ledger(tmp_path / "source.sqlite", ManualClock(START))
    ledger.append(CONTEXT, draft(BackupStarted), draft(BackupCreated))
    fill(ledger, SIZE // 2)
    make_key("tests", tmp_path / "ledger.key")
    with ledger.locked() as locked:
        sign_head(locked.connection, read_private_key(tmp_path / "ledger.key"), 1)
    fill(ledger, SIZE // 2 - 2)
    ledger.close()
    return url


def fill(ledger: Ledger, number: int) -> None:
    ledger.append(CONTEXT, *(Draft("ledger", FILLING) for _ in range(number)))


def rows_of(engine: Engine) -> list[StoredRecord]:
    with engine.connect() as connection:
        return read_records(connection)


def beside_of(engine: Engine) -> tuple[object, ...]:
    """Head, names and checkpoints."""
    with engine.connect() as connection:
        kept = select(checkpoints.c.size, checkpoints.c.note, checkpoints.c.created_at)
        return (
            read_head(connection),
            [tuple(row) for row in connection.execute(select(names))],
            [(row[0], bytes(row[1]), row[2]) for row in connection.execute(kept)],
        )


def require_same(source: Engine, target: Engine) -> None:
    """The same bytes, tree, names and checkpoints, and whole."""
    assert rows_of(target) == rows_of(source)
    assert beside_of(target) == beside_of(source)
    found, wanted = verify(target), verify(source)
    assert found.findings == ()
    assert (found.ok, found.size, found.root) == (True, wanted.size, wanted.root)


def test_there_and_back(
    source_url: str, server_side: Databases, open_at: OpenAt, tmp_path: Path
) -> None:
    """SQLite to PostgreSQL to SQLite: nothing is lost, and only leases are not carried."""
    source, there = open_at(source_url), open_at(server_side.url_of(tmp_path))
    back = open_at(f"sqlite:///{tmp_path / 'back.sqlite'}")
    first = copy_ledger(source, there)
    second = copy_ledger(there, back)
    assert (first.began_at, first.size, first.checkpoints, first.came_since) == (0, SIZE, 1, 0)
    assert first.root == second.root
    require_same(source, there)
    require_same(source, back)
    with there.connect() as connection:
        assert [each.expires_at for each in all_leases(connection)] == [EXPIRED]
    again = copy_ledger(source, there)
    assert (again.began_at, again.size, again.checkpoints) == (SIZE, SIZE, 0)


@pytest.mark.parametrize("steps", [2, 25, 80])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_killed_copy_goes_on(
    kind: str,
    steps: int,
    source_url: str,
    server_side: Databases,
    open_at: OpenAt,
    tmp_path: Path,
) -> None:
    """Whatever was reached stands, is believed only by its root, and is not copied again."""
    side = SQLiteDatabases() if kind == "sqlite" else server_side
    target_url = side.url_of(tmp_path / "target.sqlite")
    command = [sys.executable, "-m", "tests.postgresql.copying_process"]
    killed = subprocess.run([*command, source_url, target_url, str(steps)], check=False)
    assert killed.returncode == -signal.SIGKILL
    source, target = open_at(source_url), open_at(target_url)
    done = copy_ledger(source, target)
    assert done.size == SIZE
    assert done.began_at % 50 == 0
    assert (done.began_at > 0) == (steps > 50)
    require_same(source, target)


def test_a_source_that_grows_is_copied_as_it_was(
    source_url: str, server_side: Databases, open_at: OpenAt, tmp_path: Path
) -> None:
    """What comes meanwhile is counted, and taken in the next time."""
    source, target = open_at(source_url), open_at(server_side.url_of(tmp_path))
    growing = Ledger(source, ManualClock(START))
    done = copy_ledger(source, target, lambda _done, _total: fill(growing, 1))
    assert done.size == SIZE
    assert done.came_since == SIZE // 50 + 1
    again = copy_ledger(source, target)
    assert (again.began_at, again.size) == (SIZE, SIZE + done.came_since)
    require_same(source, target)


def test_an_append_while_the_head_is_read_is_no_damage(
    server_side: PostgreSQLDatabases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size, frontier and root are of one moment."""
    source = server_side.open_ledger(tmp_path / "ledger", ManualClock(START))
    source.append(CONTEXT, Draft("ledger", FILLING))
    read = copying.read_head
    appended: list[int] = []

    def one_comes_meanwhile(connection: Connection) -> Head:
        found = read(connection)
        if not appended:
            appended.append(found.size)
            source.append(CONTEXT, Draft("ledger", FILLING))
        return found

    monkeypatch.setattr(copying, "read_head", one_comes_meanwhile)
    target = open_engine(database_url(f"sqlite:///{tmp_path / 'copy.sqlite'}"))
    copied = copy_ledger(source.engine, target)
    assert (copied.size, copied.came_since) == (1, 1)
    target.dispose()
    source.close()
    source.engine.dispose()


def test_a_target_that_went_another_way_is_left_alone(
    source_url: str, server_side: Databases, open_at: OpenAt, tmp_path: Path
) -> None:
    """Divergent, ahead, another ledger, the same one, something else: an error, nothing written."""
    source, target = open_at(source_url), open_at(server_side.url_of(tmp_path))
    copy_ledger(source, target)
    other = Ledger(target, ManualClock(START))
    fill(other, 1)
    with pytest.raises(CopyRefused, match="the target is ahead"):
        copy_ledger(source, target)
    fill(Ledger(source, ManualClock(START)), 2)
    before = rows_of(target)
    with pytest.raises(CopyRefused, match="histories differ"):
        copy_ledger(source, target)
    stranger = server_side.open_ledger(tmp_path / "stranger", ManualClock(START))
    with pytest.raises(CopyRefused, match="another ledger"):
        copy_ledger(source, stranger.engine)
    stranger.close()
    for each in (source, target):
        with pytest.raises(CopyRefused, match="the same ledger"):
            copy_ledger(each, each)
    assert rows_of(target) == before
    with closing(sqlite3.connect(tmp_path / "else.sqlite")) as connection:
        connection.execute("CREATE TABLE mine (a)")
        connection.commit()
    with pytest.raises(NotALedger, match="already has tables"):
        copy_ledger(source, open_at(f"sqlite:///{tmp_path / 'else.sqlite'}"))


def test_a_changed_record_ends_the_copy_before_it(
    source_url: str, server_side: Databases, open_at: OpenAt, tmp_path: Path
) -> None:
    """Nothing is carried over that is not what its leaf hash says."""
    with closing(sqlite3.connect(tmp_path / "source.sqlite")) as connection:
        connection.execute("DROP TRIGGER ledger_events_no_update")
        connection.execute("UPDATE ledger_events SET record = x'00' WHERE position = 333")
        connection.commit()
    target = open_at(server_side.url_of(tmp_path))
    with pytest.raises(LedgerBroken, match="record 333 was changed"):
        copy_ledger(open_at(source_url), target)
    with target.connect() as connection:
        assert connection.execute(select(func.count()).select_from(events)).scalar_one() == 300
    assert verify(target).ok


def test_no_file_is_made_for_a_source_that_is_not_there(tmp_path: Path) -> None:
    """A typing error leaves nothing behind."""
    with pytest.raises(LedgerMissing):
        copy_between(str(tmp_path / "none.sqlite"), str(tmp_path / "copy.sqlite"))
    assert list(tmp_path.iterdir()) == []
