"""Append-only, by the database itself: what somebody with plain SQL is refused."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.append.ledger import Ledger
from ledger.events.housekeeping import SourceOptimized
from ledger.events.scheduling import SettingsCreated
from tests.conftest import MakeContext
from tests.sample_events import draft

COLUMNS = "position, stream, stream_version, event_type, record, leaf_hash, recorded_at"


@pytest.fixture
def attacker(
    ledger: Ledger, ledger_path: Path, context: MakeContext
) -> Iterator[sqlite3.Connection]:
    """A connection of the sqlite3 shell's kind to a ledger with three events."""
    ledger.append(context(), draft(SettingsCreated), draft(SourceOptimized), draft(SourceOptimized))
    connection = sqlite3.connect(ledger_path, isolation_level=None)
    yield connection
    connection.close()


def everything(connection: sqlite3.Connection) -> list[Any]:
    return connection.execute("SELECT * FROM ledger_events ORDER BY position").fetchall()


def refused(connection: sqlite3.Connection, statement: str, *values: Any) -> None:
    """The statement fails, and nothing is changed by it."""
    before = everything(connection)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement, values)
    assert everything(connection) == before


@pytest.mark.parametrize("column", COLUMNS.split(", "))
def test_update_of_any_column_is_refused(attacker: sqlite3.Connection, column: str) -> None:
    """Not even to the value that is there."""
    refused(attacker, f"UPDATE ledger_events SET {column} = {column} WHERE position = 2")


@pytest.mark.parametrize("verb", ["OR REPLACE", "OR IGNORE", "OR FAIL", "OR ABORT", "OR ROLLBACK"])
def test_update_is_refused_whatever_it_says_of_conflicts(
    attacker: sqlite3.Connection, verb: str
) -> None:
    """No conflict clause turns the refusal off."""
    refused(attacker, f"UPDATE {verb} ledger_events SET stream_version = 1 WHERE position = 3")


@pytest.mark.parametrize("where", ["position = 3", "position = 1", "1"])
def test_delete_is_refused(attacker: sqlite3.Connection, where: str) -> None:
    """Neither the last event nor all of them."""
    refused(attacker, f"DELETE FROM ledger_events WHERE {where}")


def row(position: int, stream: str = "ledger", version: int = 3) -> tuple[Any, ...]:
    record = b"forged"
    leaf = hashlib.sha256(b"\0" + record).digest()
    return position, stream, version, "ledger.source_optimized", record, leaf, 0


@pytest.mark.parametrize("verb", ["INSERT", "INSERT OR REPLACE", "REPLACE", "INSERT OR IGNORE"])
@pytest.mark.parametrize(
    "values",
    [
        row(1),
        row(3),
        row(0),
        row(-1),
        row(5),
        row(2**62),
        row(4, version=2),
        row(4, stream="schedule/1", version=1),
    ],
    ids=lambda values: f"position{values[0]}-version{values[2]}",
)
def test_insert_out_of_order_or_over_an_event_is_refused(
    attacker: sqlite3.Connection, verb: str, values: tuple[Any, ...]
) -> None:
    """Replacing fires no delete trigger, so what it would replace is looked for."""
    refused(
        attacker, f"{verb} INTO ledger_events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", *values
    )


def test_upsert_over_an_event_is_refused(attacker: sqlite3.Connection) -> None:
    """ON CONFLICT DO UPDATE is an update too."""
    refused(
        attacker,
        f"INSERT INTO ledger_events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (position) DO UPDATE SET record = excluded.record",
        *row(2),
    )


def test_insert_without_a_position_does_not_slip_past(attacker: sqlite3.Connection) -> None:
    """SQLite chooses it only after the trigger has looked, so it is always given."""
    columns = COLUMNS.removeprefix("position, ")
    statement = f"INSERT OR REPLACE INTO ledger_events ({columns}) VALUES (?, ?, ?, ?, ?, ?)"
    refused(attacker, statement, *row(4)[1:])


@pytest.mark.parametrize("leaf", [b"", b"x" * 31, b"x" * 33, None])
def test_a_leaf_hash_of_the_wrong_length_is_refused(
    attacker: sqlite3.Connection, leaf: bytes | None
) -> None:
    """Every leaf is a SHA-256."""
    position, stream, version, event_type, record, _leaf, recorded_at = row(4)
    refused(
        attacker,
        f"INSERT INTO ledger_events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        *(position, stream, version, event_type, record, leaf, recorded_at),
    )


def test_the_next_event_in_order_is_what_the_triggers_let_through(
    attacker: sqlite3.Connection,
) -> None:
    """They judge order; what is forged in order is for `verify` to find."""
    attacker.execute(f"INSERT INTO ledger_events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row(4))
    assert [each[0] for each in everything(attacker)] == [1, 2, 3, 4]


def test_many_rows_in_one_statement_are_judged_one_by_one(attacker: sqlite3.Connection) -> None:
    """A good first row does not carry a bad second one in."""
    refused(
        attacker,
        f"INSERT INTO ledger_events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?), "
        "(?, ?, ?, ?, ?, ?, ?)",
        *row(4),
        *row(6, version=4),
    )


def test_there_is_one_head(attacker: sqlite3.Connection) -> None:
    """A second row would leave open which of them is true."""
    with pytest.raises(sqlite3.IntegrityError):
        attacker.execute(
            "INSERT INTO ledger_head SELECT 2, size, root, frontier, 0 FROM ledger_head"
        )
