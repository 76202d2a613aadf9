"""A record is read in one go where it can be, and step by step where not: with one outcome."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.errors import RecordError
from ledger.records.record import _decode_step_by_step, decode_event
from tests.ledger.golden_records import GOLDEN_LINES

ODD_VALUES: tuple[Any, ...] = (
    None,
    0,
    1.0,
    10**400,
    float("nan"),
    True,
    "",
    "x",
    "\ud800",
    [],
    {},
    {"event_type": "backup_catalog.held"},
)


def outcome(reader: Any, record: bytes) -> Any:
    try:
        return reader(record)
    except RecordError as error:
        return str(error)


@pytest.mark.parametrize("line", GOLDEN_LINES)
def test_golden_record_is_read_the_same_in_both_ways(line: bytes) -> None:
    """Equal events, and of the details' own class."""
    event = decode_event(line)
    assert event == _decode_step_by_step(line)
    assert type(event.details) is type(_decode_step_by_step(line).details)


@pytest.mark.slow
@pytest.mark.parametrize("line", GOLDEN_LINES)
def test_damaged_record_ends_the_same_in_both_ways(line: bytes) -> None:
    """Every field, of the envelope and of the details, with everything that it should not be."""
    fields = json.loads(line)
    for place in (fields, fields["details"]):
        for name, value in list(place.items()):
            for odd in (*ODD_VALUES, [value], f"{value}"):
                place[name] = odd
                damaged = json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()
                assert outcome(decode_event, damaged) == outcome(_decode_step_by_step, damaged)
            del place[name]
            damaged = json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()
            assert outcome(decode_event, damaged) == outcome(_decode_step_by_step, damaged)
            place[name] = value


@pytest.mark.parametrize("record", [b"", b"{}", b"[]", b'{"event_type":"', b'"event_type":"\xff"'])
def test_what_is_no_record_at_all_ends_the_same_in_both_ways(record: bytes) -> None:
    """No type to be found, or half of one."""
    assert outcome(decode_event, record) == outcome(_decode_step_by_step, record)
