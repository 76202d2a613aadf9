"""The adversary hides behind erasure: removing a record takes exactly one event that says so."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from ledger.append.database import database_url, open_engine
from ledger.append.erasing.erase import erase_records
from ledger.append.ledger import Draft, Ledger
from ledger.clock import ManualClock
from ledger.events.housekeeping import RecordRedacted
from ledger.vocabulary import LEDGER_STREAM
from tests.conftest import START
from tests.ledger.redacting import redact, redaction_of
from tests.ledger.tampering import Attacker, finding, report_on, url_of
from tests.sample_events import CONTEXT

PAUSED, HELD, RESTORE = 4, 16, 28
GONE = "the record was removed; only its leaf hash is left"
OTHER = "another record was erased here"


@pytest.mark.both_databases
def test_an_erasure_that_an_event_tells_of_is_no_finding(
    attacker: Attacker, checkpoints: list[bytes]
) -> None:
    """The history stays whole, its checkpoints hold, and erased records are counted apart."""
    for position in (PAUSED, HELD, RESTORE):
        redact(attacker.path, position)
    report = report_on(attacker.path, checkpoints)
    assert report.findings == ()
    assert report.erased == 3
    assert "603 records, 3 of them erased by later events" in report.verdict
    assert report.notes[0].startswith("3 records were erased on request")


@pytest.mark.both_databases
def test_a_record_is_removed_and_no_event_says_so(attacker: Attacker) -> None:
    """Found, whatever others were erased."""
    redact(attacker.path, HELD)
    attacker.run(f"UPDATE ledger_events SET record = NULL WHERE position = {PAUSED}")
    finding(report_on(attacker.path), GONE, PAUSED)


def test_an_event_says_that_a_record_was_erased_which_is_there(attacker: Attacker) -> None:
    """It never happened; or somebody put the record back."""
    at = redact(attacker.path, HELD, erases=False)
    found = finding(report_on(attacker.path), f"record at position {HELD} was erased", at)
    assert found.found == "one with its record"


@pytest.mark.parametrize(
    "changes",
    [
        {"leaf_hash": "42" * 32},
        {"stream_version": 99},
        {"stream": "schedule/7"},
        {"event_type": "backup_catalog.hold_released"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_event_tells_of_another_record(attacker: Attacker, changes: dict[str, Any]) -> None:
    """Of another leaf, version, stream or type: it covers nothing up."""
    redact(attacker.path, HELD, erases=False, **changes)
    attacker.run(f"UPDATE ledger_events SET record = NULL WHERE position = {HELD}")
    report = report_on(attacker.path)
    assert not report.ok
    assert {each.position for each in report.findings} <= {HELD, 601}


def test_two_events_tell_of_one_erasure(attacker: Attacker) -> None:
    """Which of the two kept what was there?"""
    redact(attacker.path, HELD, erases=False)
    redact(attacker.path, HELD)
    found = finding(report_on(attacker.path), GONE, HELD)
    assert found.found == "2 such events"


def test_an_event_tells_of_a_later_record(attacker: Attacker) -> None:
    """Nobody can promise an erasure before there is anything."""
    at = redact(attacker.path, HELD, erases=False, position=602)
    redact(attacker.path, RESTORE, erases=False)
    attacker.run("UPDATE ledger_events SET record = NULL WHERE position = 602")
    finding(report_on(attacker.path), GONE, 602)
    assert at == 601


def test_what_was_kept_is_no_event_of_its_type(attacker: Attacker) -> None:
    """Nobody could fold it."""
    at = redact(attacker.path, HELD, erases=False, kept={"details": {}})
    finding(report_on(attacker.path), "what was kept of an erased record", at)


def test_an_event_about_an_erasure_is_erased_itself(attacker: Attacker) -> None:
    """Only with a second one that says so; without, both are found."""
    at = redact(attacker.path, HELD)
    again = redact(attacker.path, at)
    assert report_on(attacker.path).findings == ()
    attacker.run(f"UPDATE ledger_events SET record = NULL WHERE position = {again}")
    report = report_on(attacker.path)
    assert {each.position for each in report.findings} == {HELD, at, again}


def _refused(attacker: Attacker, statement: str) -> None:
    """The database refuses to run a statement, its triggers being there."""
    engine = open_engine(database_url(url_of(attacker.path)))
    try:
        # On a server our connections look for tables nowhere by themselves.
        table = "ledger_events" if engine.dialect.name == "sqlite" else "public.ledger_events"
        changed = statement.replace("ledger_events", table)
        with engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
            connection.exec_driver_sql(changed)
    finally:
        engine.dispose()


@pytest.mark.both_databases
def test_the_database_lets_nothing_else_through(attacker: Attacker) -> None:
    """Not without its event, not another column along with it, not twice, not back again."""
    _refused(attacker, f"UPDATE ledger_events SET record = NULL WHERE position = {HELD}")
    redact(attacker.path, PAUSED, erases=False)
    erase = "UPDATE ledger_events SET record = NULL"
    _refused(attacker, f"{erase} WHERE position = {HELD}")
    _refused(attacker, f"{erase}, recorded_at = 0 WHERE position = {PAUSED}")
    _refused(attacker, f"{erase}, event_type = 'x' WHERE position = {PAUSED}")
    _refused(attacker, f"UPDATE ledger_events SET record = 'x' WHERE position = {PAUSED}")
    _refused(attacker, f"DELETE FROM ledger_events WHERE position = {PAUSED}")
    redact(attacker.path, RESTORE)
    _refused(attacker, f"UPDATE ledger_events SET record = 'x' WHERE position = {RESTORE}")
    _refused(attacker, f"{erase} WHERE position = {RESTORE}")


@pytest.mark.parametrize("changes", [{"leaf_hash": "42" * 32}, {"position": 7}])
def test_the_database_reads_the_event(attacker: Attacker, changes: dict[str, Any]) -> None:
    """Position and leaf hash are the row's own, or nothing is erased."""
    ledger = Ledger(open_engine(database_url(url_of(attacker.path))), ManualClock(START))
    try:
        with pytest.raises(DBAPIError, match="append-only"):
            _erase_by(ledger, redaction_of(ledger, HELD, **changes), redaction_of(ledger, HELD))
        assert ledger.log_recorder.head().size == 600
    finally:
        ledger.close()


def _erase_by(ledger: Ledger, said: RecordRedacted, meant: RecordRedacted) -> None:
    """Append one redaction, and erase what another one names."""
    with ledger.locked() as locked:
        ledger.append_locked(locked, CONTEXT, [Draft(LEDGER_STREAM, said)])
        erase_records(locked.connection, [meant])
