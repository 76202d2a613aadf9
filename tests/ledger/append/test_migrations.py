"""The ledger's own tables move forward in one transaction, and never back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest
from sqlalchemy import Connection
from sqlalchemy.engine import Engine

from ledger.append.database import create_ledger, database_url, open_engine, read_meta
from ledger.append.migrations import STEPS, migrate
from ledger.append.tables import SCHEMA_VERSION
from ledger.errors import LedgerBroken, LedgerTooNew
from tests.conftest import START
from tests.sample_events import uuid_of


def add_note(connection: Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE ledger_notes (id INTEGER PRIMARY KEY)")


def add_text(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE ledger_notes ADD COLUMN text TEXT")


def fail(connection: Connection) -> None:
    add_text(connection)
    raise RuntimeError("the power went out")


OLD, NEW = SCHEMA_VERSION, SCHEMA_VERSION + 2
FORWARD = {OLD: add_note, OLD + 1: add_text}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(database_url(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))
    create_ledger(opened, uuid_of(1), START)
    yield opened
    opened.dispose()


def columns_of_notes(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    found = [row[1] for row in connection.execute("PRAGMA table_info(ledger_notes)")]
    connection.close()
    return found


def test_every_step_from_an_older_version_is_there() -> None:
    """Who raises the schema version writes the step from the one before."""
    assert set(STEPS) == set(range(1, SCHEMA_VERSION))


def test_a_ledger_of_the_newest_version_is_left_alone(engine: Engine) -> None:
    assert migrate(engine) == 0
    assert read_meta(engine).schema_version == SCHEMA_VERSION


def test_steps_are_taken_in_order_and_stamped(engine: Engine, tmp_path: Path) -> None:
    """Afterwards there is nothing left to do."""
    assert migrate(engine, FORWARD, NEW) == 2
    assert columns_of_notes(tmp_path / "ledger.sqlite") == ["id", "text"]
    assert read_meta(engine, NEW).schema_version == NEW
    assert migrate(engine, FORWARD, NEW) == 0


def test_a_step_that_fails_leaves_the_old_tables(engine: Engine, tmp_path: Path) -> None:
    """Also those that earlier steps of the same migration made."""
    with pytest.raises(RuntimeError):
        migrate(engine, {OLD: add_note, OLD + 1: fail}, NEW)
    assert columns_of_notes(tmp_path / "ledger.sqlite") == []
    assert read_meta(engine).schema_version == OLD
    assert migrate(engine, FORWARD, NEW) == 2


def test_newer_tables_are_refused_and_not_touched(engine: Engine) -> None:
    """An older program says that it is older."""
    migrate(engine, FORWARD, NEW)
    with pytest.raises(LedgerTooNew, match="update backup-ledger"):
        migrate(engine)
    assert read_meta(engine, NEW).schema_version == NEW


def test_a_version_from_which_nothing_leads_on_is_an_error(engine: Engine) -> None:
    """Somebody edited the stamp; guessing would do harm."""
    with pytest.raises(LedgerBroken, match="there is no migration"):
        migrate(engine, {OLD + 1: add_text}, NEW)


def test_two_that_begin_at_once_take_turns(engine: Engine) -> None:
    """One takes the steps, the other finds them taken."""
    barrier, taken = Barrier(2), []

    def begin() -> None:
        barrier.wait()
        taken.append(migrate(engine, FORWARD, NEW))

    threads = [Thread(target=begin) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(taken) == [0, 2]
