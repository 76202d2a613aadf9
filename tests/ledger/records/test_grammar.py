"""The quick yes of verification: it is never a yes to what the full rules refuse."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, field_validator

from ledger.canonical_json import canonical_bytes
from ledger.errors import RecordError
from ledger.events import REGISTRY
from ledger.records.grammar import grammar_before_nonces, grammar_of
from ledger.records.record import decode_event, encode_event
from ledger.records.upcasters import LAST_WITHOUT_NONCE
from tests.ledger.golden_records import GOLDEN_LINES, fields_of

FREE_FIELDS = {
    "backup_offsite.destination_added",
    "backup_offsite.destination_changed",
    "backup_scheduler.settings_updated",
    "backup_scheduler.settings_error",
    "ledger.evidence_exported",
    "ledger.record_redacted",
}
"""Their fields have names of their own, for which the grammar has no words."""

PIECES = [
    *'"{}[],:\\/ \t\n0123456789abcdefzZTe+-._',
    *["null", "true", "false", "1.0", "1e3", "-0", "00", "9007199254740992", "\\u0041", "\\/"],
    *["\u00e9", "\u0661", "\u2028", "\x7f", "\x00", "\U0001f600", "\\ud800", "999", "\\u0000"],
]
lines = st.sampled_from([line.decode() for line in GOLDEN_LINES])
places = st.floats(0, 1, exclude_max=True)
edits = st.lists(st.tuples(places, st.integers(0, 3), st.sampled_from(PIECES)), max_size=3)


def says_yes(text: str) -> bool:
    """Whether any type's grammar takes the text for one of its records."""
    grammars = (grammar_of(event_type) for event_type in REGISTRY)
    return any(grammar is not None and grammar.fullmatch(text) for grammar in grammars)


def is_valid(text: str) -> bool:
    """By the full rules: it can be read, and is what would be written for what was read."""
    try:
        return encode_event(decode_event(text.encode())) == text.encode()
    except RecordError:
        return False


def edited(text: str, changes: list[tuple[float, int, str]]) -> str:
    """The text with pieces put in the place of a few characters."""
    for place, length, piece in changes:
        start = int(place * len(text))
        text = text[:start] + piece + text[start + length :]
    return text


@pytest.mark.parametrize("line", GOLDEN_LINES, ids=lambda line: fields_of(line)[0])
def test_golden_records_are_recognized_at_first_sight(line: bytes) -> None:
    """All but those with free fields or very large numbers, and each by its own type only."""
    event_type, version = fields_of(line)
    expected = version == REGISTRY[event_type].schema_version and event_type not in FREE_FIELDS
    text = line.decode().replace(str(2**53 - 1), "4096")
    grammars = {each: grammar_of(each) for each in REGISTRY}
    found = [each for each, grammar in grammars.items() if grammar and grammar.fullmatch(text)]
    assert found == ([event_type] if expected else [])


@pytest.mark.slow
@given(lines, edits)
@settings(max_examples=400)
@example(GOLDEN_LINES[0].decode() + "\n", [])
@example(GOLDEN_LINES[0].decode().replace('"host":"db1"', '"host":"\ud7ff"'), [])
def test_whatever_gets_a_quick_yes_is_valid_by_the_full_rules(text: str, changes: Any) -> None:
    """However a record was changed."""
    changed = edited(text, changes)
    if says_yes(changed):
        assert is_valid(changed)


@pytest.mark.slow
@given(lines, st.data())
@settings(max_examples=200)
def test_other_values_in_a_record_get_a_yes_only_where_they_are_valid(
    text: str, data: st.DataObject
) -> None:
    """In canonical form and with all its keys, but a value of another kind somewhere."""
    fields = json.loads(text)
    inside = data.draw(st.sampled_from([fields, fields["details"], fields["actor"]]))
    name = data.draw(st.sampled_from(sorted(inside)))
    inside[name] = data.draw(
        st.none()
        | st.booleans()
        | st.integers(-(2**53) + 1, 2**53 - 1)
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
        | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z", fullmatch=True)
        | st.sampled_from(["0", "1", str(2**63 - 1), str(2**63), "global", "ledger", [], {}])
    )
    changed = canonical_bytes(fields).decode()
    if says_yes(changed):
        assert is_valid(changed)


@pytest.mark.parametrize("day", ["02-29", "02-30", "04-31", "13-01", "00-10", "01-00", "12-32"])
@pytest.mark.parametrize("year", ["2024", "2025", "0000", "1900"])
def test_only_days_of_the_calendar_get_a_yes(year: str, day: str) -> None:
    """A leap day may wait for the full check; a day that never was is not a valid time."""
    text = re.sub(r'"2025-01-13(T[^"]*)"', rf'"{year}-{day}\1"', GOLDEN_LINES[0].decode())
    assert not says_yes(text) or is_valid(text)
    assert f"{year}-{day}" in text


def test_what_is_leaned_on_of_pydantic_tells_of_validators() -> None:
    """A model with a validator of its own has no grammar: else its records would pass unseen."""

    class Plain(BaseModel):
        name: str

    class Checked(Plain):
        @field_validator("name")
        @classmethod
        def _check(cls, value: str) -> str:
            return value

    assert not Plain.__pydantic_decorators__.field_validators
    assert Checked.__pydantic_decorators__.field_validators


@pytest.mark.parametrize("line", GOLDEN_LINES, ids=lambda line: "{}@{}".format(*fields_of(line)))
def test_records_from_before_the_nonces_are_recognized_as_quickly(line: bytes) -> None:
    """A ledger that was written before them is verified no slower than one since."""
    event_type, version = fields_of(line)
    text = line.decode().replace(str(2**53 - 1), "4096")
    is_theirs = LAST_WITHOUT_NONCE.get(event_type) == version and event_type not in FREE_FIELDS
    grammar = grammar_before_nonces(event_type)
    if grammar is None:
        assert not is_theirs or REGISTRY[event_type].schema_version > version + 1
    else:
        assert (grammar.fullmatch(text) is not None) == is_theirs
        assert not is_theirs or decode_event(text.encode())
