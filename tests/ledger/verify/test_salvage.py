"""Records of a damaged file: found on any page that is left, proved by their own hash."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest

from ledger.append.ledger import Draft, Ledger
from ledger.events.housekeeping import ProjectionRebuilt
from ledger.tree.merkle import leaf_hash
from ledger.verify.salvage import salvage
from ledger.verify.sqlite_pages import PageFile
from tests.conftest import MakeContext
from tests.ledger.redacting import redact
from tests.ledger.tampering import Attacker

PAGE = 4096
RECORDS = 400


@pytest.fixture
def filled(ledger: Ledger, context: MakeContext, ledger_path: Path) -> Iterator[Path]:
    """Some pages of records, of which a few are longer than a page; all in the file itself."""
    for first in range(0, RECORDS, 100):
        ledger.append(context(), *(_draft(number) for number in range(first, first + 100)))
    with closing(sqlite3.connect(ledger_path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return ledger_path


def _draft(number: int) -> Draft:
    reason = "long " * 2_000 if number % 50 == 7 else f"number {number}"
    details = ProjectionRebuilt(name="x", version=1, position=number, rows=0, reason=reason)
    return Draft("ledger", details)


def records_of(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT record FROM ledger_events ORDER BY position")
        return [row[0] for row in rows]


def test_all_of_a_sound_file(filled: Path, ledger: Ledger) -> None:
    """Every record as stored, the head, and which ledger it is."""
    expected = records_of(filled)
    found = salvage(BytesIO(filled.read_bytes()))
    assert [row.record for row in found.rows()] == expected
    assert (found.size, found.whole_until, found.lost()) == (RECORDS, RECORDS, [])
    assert found.ledger_id == ledger.meta.ledger_id
    assert found.head_root is not None
    assert found.root() == found.head_root.hex()


@pytest.mark.slow
def test_any_damaged_page_costs_its_own_records_only(filled: Path) -> None:
    """Each page zeroed, in turn: what is found is true, and all but that page's is found."""
    expected, data = records_of(filled), filled.read_bytes()
    costs: list[int] = []
    for start in range(0, len(data), PAGE):
        found = salvage(BytesIO(data[:start] + bytes(PAGE) + data[start + PAGE :]))
        rows = list(found.rows())
        assert [row.record for row in rows] == [expected[row.position - 1] for row in rows]
        lost = sum(last - first + 1 for first, last in found.lost())
        assert lost == RECORDS - len(rows)
        costs.append(lost)
    assert costs[0] == 0  # the schema, without which SQLite reads nothing
    assert costs.count(0) > 5
    assert max(costs) < 20


def test_changed_bytes_never_become_a_record(filled: Path) -> None:
    """Whatever is flipped, a record that comes out has its hash, and its position is right."""
    expected, data = records_of(filled), bytearray(filled.read_bytes())
    dice = random.Random(17)
    for _ in range(3_000):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    found = salvage(BytesIO(bytes(data)))
    rows = list(found.rows())
    assert 0 < len(rows) < RECORDS
    for row in rows:
        assert row.record is not None
        assert leaf_hash(row.record) == row.leaf_hash
        assert row.record in expected


def test_log_that_was_not_taken_in_is_read_too(
    filled: Path, ledger: Ledger, context: MakeContext
) -> None:
    """A kill leaves the newest records in the write-ahead log; an open transaction's are not."""
    ledger.append(context(), *(_draft(number) for number in range(400, 420)))
    log = filled.with_name(f"{filled.name}-wal").read_bytes()
    data = filled.read_bytes()
    assert salvage(BytesIO(data)).size == RECORDS
    found = salvage(BytesIO(bytes(PAGE) + data[PAGE:]), BytesIO(log))
    assert (found.size, found.whole_until, found.head_size) == (420, 420, 420)
    assert found.head_root is not None
    assert found.root() == found.head_root.hex()
    half = salvage(BytesIO(data), BytesIO(log[: len(log) - PAGE]))
    assert half.whole_until == RECORDS


@pytest.mark.parametrize("page_size", [512, 1024, 65_536])
def test_pages_of_any_size(tmp_path: Path, page_size: int) -> None:
    """Values of every kind, on pages of every size, some on overflow pages."""
    path = tmp_path / "values.db"
    values = (None, 0, 1, -1, 127, 1 << 20, -(1 << 40), 1 << 62, 1.5, "text", b"blob", "é" * 900)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size={page_size}")
        columns = ", ".join(f"c{number}" for number in range(len(values)))
        connection.execute(f"CREATE TABLE t ({columns})")
        connection.executemany(
            f"INSERT INTO t VALUES ({', '.join('?' * len(values))})", [values] * 50
        )
        connection.commit()
    rows = [row for _, _, row in PageFile.of(BytesIO(path.read_bytes()), None).rows()]
    assert rows.count(values) == 50


def test_garbage_holds_nothing() -> None:
    """No file makes it fail, or go on for ever."""
    dice = random.Random(3)
    for size in (0, 1, 99, 100, 4096, 50_000):
        found = salvage(BytesIO(dice.randbytes(size)), BytesIO(dice.randbytes(size)))
        assert (found.size, found.whole_until, found.lost()) == (0, 0, [])
    looped = b"\x0d\x00\x00\x00\x01\x00\x00\x00\x00\x0a" + b"\x87\xff\x7f\x01" * 100
    assert list(PageFile.of(BytesIO(looped.ljust(PAGE, b"\x01")), None).rows()) == []


def test_an_erased_record_is_saved_with_the_one_that_says_so(attacker: Attacker) -> None:
    """Its row has no bytes to prove it; a sound redaction does. Another one is still altered."""
    redact(attacker.path, 16)
    attacker.run("UPDATE ledger_events SET record = NULL WHERE position = 17")
    with closing(sqlite3.connect(attacker.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with attacker.path.open("rb") as file:
        found = salvage(file)
        assert 16 in found.cells
        assert found.altered == {17}
        assert [row.record for row in found.rows() if row.position == 16] == [None]
