"""The bytes of records go with the event that says why, or not at all."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from ledger.append.database import writing
from ledger.append.erasing.erase import erase_again, erase_records
from ledger.append.erasing.stand_ins import redactions
from ledger.append.ledger import Draft, Ledger
from ledger.append.reading import read_records, read_streams
from ledger.append.tables import events
from ledger.errors import LedgerBroken
from ledger.events.catalog import HoldPlaced
from ledger.records.erasure import ERASED
from ledger.records.record import decode_event
from ledger.vocabulary import LEDGER_STREAM
from tests.ledger.redacting import redaction_of
from tests.sample_events import CONTEXT, draft


def held(ledger: Ledger) -> None:
    ledger.append(CONTEXT, draft(HoldPlaced), draft(HoldPlaced, reason="another"))


def redact(ledger: Ledger, position: int, *, erases: bool = True) -> None:
    details = redaction_of(ledger, position)
    with ledger.locked() as locked:
        ledger.append_locked(locked, CONTEXT, [Draft(LEDGER_STREAM, details)])
        if erases:
            erase_records(locked.connection, [details])


def has_bytes(ledger: Ledger) -> list[bool]:
    with ledger.engine.connect() as connection:
        rows = connection.execute(select(events.c.record).order_by(events.c.position))
        return [record is not None for record in rows.scalars()]


@pytest.mark.both_databases
def test_readers_get_what_stands_in(ledger: Ledger) -> None:
    """Of all records, of a stream, and through the library; each says that it is erased."""
    held(ledger)
    redact(ledger, 1)
    assert has_bytes(ledger) == [False, True, True]
    found = list(ledger.recorded())
    assert [each.is_erased for each in found] == [True, False, False]
    assert [each.event.details.to_facts().get("reason") for each in found[:2]] == [
        ERASED,
        "another",
    ]
    stream = found[0].event.stream
    assert ledger.stream(stream) == [found[0].event, found[1].event]
    with ledger.engine.connect() as connection:
        rows = list(read_streams(connection, [LEDGER_STREAM, stream], 2))
        assert rows == read_records(connection, up_to=2)
        (known,) = redactions(connection)
    assert decode_event(known.record) == found[0].event


@pytest.mark.both_databases
def test_what_came_back_is_erased_again(ledger: Ledger) -> None:
    """As from a copy of before; and what is gone stays so."""
    held(ledger)
    redact(ledger, 1, erases=False)
    assert erase_again(ledger.engine) == 1
    assert has_bytes(ledger) == [False, True, True]
    assert erase_again(ledger.engine) == 0


def test_a_record_is_taken_away_once(ledger: Ledger) -> None:
    """A second act finds nothing, and nothing of it is appended."""
    held(ledger)
    details = redaction_of(ledger, 1)
    redact(ledger, 1)
    with pytest.raises(LedgerBroken, match="is already erased"), ledger.locked() as locked:
        erase_records(locked.connection, [details])


def test_a_record_that_is_gone_without_an_event_is_no_erased_one(ledger: Ledger) -> None:
    """Whoever reads it is told which one, and what to run."""
    held(ledger)
    with writing(ledger.engine) as connection:
        connection.execute(text("DROP TRIGGER ledger_events_no_update"))
        connection.execute(text("UPDATE ledger_events SET record = NULL WHERE position = 2"))
    with pytest.raises(LedgerBroken, match=r"version 2 of backup/.* is gone.*audit verify"):
        list(ledger.records())
