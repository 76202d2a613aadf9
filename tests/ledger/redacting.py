"""Redactions as the software makes them, and as somebody would who has something to hide."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ledger.append.database import database_url, open_engine
from ledger.append.erasing.erase import erase_records
from ledger.append.ledger import Draft, Ledger
from ledger.append.reading import read_records
from ledger.clock import ManualClock
from ledger.events.housekeeping import RecordRedacted
from ledger.records.erasure import kept_of
from ledger.records.record import decode_event
from ledger.vocabulary import LEDGER_STREAM
from tests.conftest import START
from tests.ledger.tampering import Place, url_of
from tests.sample_events import CONTEXT


def redaction_of(ledger: Ledger, position: int, /, **changes: Any) -> RecordRedacted:
    """What a redaction of a record says; `changes`: what this one says instead."""
    with ledger.engine.connect() as connection:
        (row,) = read_records(connection, after=position - 1, up_to=position)
    fields = {
        "position": position,
        "leaf_hash": row.leaf_hash.hex(),
        "event_type": row.event_type,
        "stream": row.stream,
        "stream_version": row.stream_version,
        "ticket": "DSR-1",
        "reason": "article 17",
        "kept": kept_of(decode_event(row.record), {}),
        "guessable": False,
    }
    return RecordRedacted(**fields | changes)


def redact(place: Place, position: int, /, *, erases: bool = True, **changes: Any) -> int:
    """Append a redaction, and erase what it names; the position of its event."""
    clock = ManualClock(START + timedelta(hours=2))
    ledger = Ledger(open_engine(database_url(url_of(place))), clock)
    try:
        details = redaction_of(ledger, position, **changes)
        with ledger.locked() as locked:
            (recorded,) = ledger.append_locked(locked, CONTEXT, [Draft(LEDGER_STREAM, details)])
            if erases:
                erase_records(locked.connection, [details])
        return recorded.position
    finally:
        ledger.close()
