"""Records that are refused: what no reader of the ledger will ever have to expect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ledger.errors import RecordError, UnknownEvent
from ledger.events.catalog import TableRows
from ledger.events.scheduling import SettingsCreated, SettingsUpdated
from ledger.records.record import decode_event, encode_event
from tests.ledger.golden_records import GOLDEN_LINES, KEYS, altered, fields_of, golden
from tests.sample_events import draft, event, sample


def test_an_unknown_event_type_is_named() -> None:
    """Types come from a closed registry, never from an import path in a row."""
    with pytest.raises(UnknownEvent, match=r"'os\.system'"):
        decode_event(altered(event_type="os.system"))


def test_an_unknown_version_is_named() -> None:
    """A record of newer software is not skipped and not guessed at."""
    with pytest.raises(UnknownEvent, match=r"backup_scheduler\.start version 99"):
        decode_event(altered(schema_version=99))


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_refused(key: str) -> None:
    """Every key is always there, null where unknown."""
    fields = json.loads(GOLDEN_LINES[0])
    del fields[key]
    with pytest.raises(RecordError):
        decode_event(json.dumps(fields).encode())


@pytest.mark.parametrize("line", GOLDEN_LINES, ids=lambda line: fields_of(line)[0])
def test_a_missing_or_extra_detail_is_refused(line: bytes) -> None:
    """The details have the event type's own fields, and no others."""
    details = json.loads(line)["details"]
    extra = altered(line, details={**details, "surprise": 1})
    for name in details:
        fewer = {key: value for key, value in details.items() if key != name}
        with pytest.raises(RecordError):
            decode_event(altered(line, details=fewer))
    with pytest.raises(RecordError):
        decode_event(extra)


SCHEDULE_LINE = golden("backup_scheduler.settings_created")
BACKUP_LINE = golden("backup_catalog.backup_missing")


@pytest.mark.parametrize(
    "changes",
    [
        {"surprise": 1},
        {"action": "stop"},
        {"action": None},
        {"actor": {"id": "ada", "kind": "root"}},
        {"actor": {"id": 1, "kind": "user"}},
        {"actor": {"id": "ada"}},
        {"actor": {"id": "ada", "kind": "user", "name": "Ada"}},
        {"actor": "ada"},
        {"causation_id": "1"},
        {"correlation_id": None},
        {"correlation_id": "00000000-0000-4000-8000-00000000000A"},
        {"details": []},
        {"details": None},
        {"error_message": 5},
        {"error_message": "\ud800"},
        {"event_id": None},
        {"event_id": "x"},
        {"event_type": None},
        {"resource_id": "2"},
        {"resource_id": None},
        {"resource_type": "ledger"},
        {"schema_version": "1"},
        {"schema_version": True},
        {"schema_version": 1.0},
        {"schema_version": 0},
        {"schema_version": None},
        {"success": False},
        {"success": 1},
        {"success": None},
        {"stream_version": 0},
        {"stream_version": "1"},
        {"stream_version": 1.5},
        {"stream_version": 2**53},
        {"timestamp": None},
        {"timestamp": 5},
        {"timestamp": []},
        {"user_id": 1},
        {"user_id": ""},
    ],
    ids=str,
)
def test_a_wrong_envelope_field_is_refused(changes: dict[str, Any]) -> None:
    """Always as a record error of one line that names the event type."""
    with pytest.raises(RecordError) as caught:
        decode_event(altered(SCHEDULE_LINE, **changes))
    assert "\n" not in str(caught.value)


def test_success_belongs_to_the_event_type() -> None:
    """A loss that claims to be a success is not a valid record, nor a failure without a message."""
    with pytest.raises(RecordError, match="success"):
        decode_event(altered(BACKUP_LINE, success=True))
    with pytest.raises(RecordError, match="error_message"):
        decode_event(altered(BACKUP_LINE, error_message=None))


@pytest.mark.parametrize(
    ("stream", "resource_id"),
    [
        ("schedule/0", "0"),
        ("schedule/01", "01"),
        ("schedule/abc", "abc"),
        ("schedule/-1", "-1"),
        ("schedule/9223372036854775808", "9223372036854775808"),
        ("schedule/", ""),
        ("schedule/1/2", "2"),
        ("schedule/1\n", "1\n"),
        ("schedule/\u0661", "\u0661"),
        ("backup/1", "1"),
        ("scheduler/1", "1"),
        ("retention/1", "1"),
        ("ledger", "ledger"),
        ("1", "1"),
        ("", ""),
    ],
)
def test_a_stream_that_the_event_type_cannot_have_is_refused(stream: str, resource_id: str) -> None:
    """Each fold may rely on what the name of its stream says."""
    with pytest.raises(RecordError):
        decode_event(altered(SCHEDULE_LINE, stream=stream, resource_id=resource_id))


@pytest.mark.parametrize(
    "user_id", ["0", "01", "-1", "+1", " 1", "1 ", "1.0", "one", "\u0661", "1\n", str(2**63)]
)
def test_a_user_id_that_no_table_can_have_is_refused(user_id: str) -> None:
    """User ids are positive integers of 64 bits, written as strings."""
    with pytest.raises(RecordError, match="user_id"):
        decode_event(altered(user_id=user_id))


def test_the_largest_user_id_is_allowed() -> None:
    """The table's integers reach this far."""
    assert decode_event(altered(user_id=str(2**63 - 1))).user_id == "9223372036854775807"


@pytest.mark.parametrize(
    "changes",
    [
        {"frequency": "hourly"},
        {"backup_time": "24:00"},
        {"backup_time": "3:00"},
        {"backup_time": "03:00\n"},
        {"keep_count": 0},
        {"keep_count": 31},
        {"keep_count": True},
        {"enabled": 1},
        {"timezone": ""},
    ],
    ids=str,
)
def test_settings_that_no_schedule_can_have_are_refused(changes: dict[str, Any]) -> None:
    """When they are made and when they are changed; the tables would refuse them too."""
    with pytest.raises(ValidationError):
        sample(SettingsCreated, **changes)
    with pytest.raises(ValidationError):
        sample(SettingsUpdated, after=changes)


@pytest.mark.parametrize("size", [-1, 2**53, 1.0, "1", True, None])
def test_a_count_that_json_cannot_keep_exact_is_refused(size: Any) -> None:
    """Whoever reads the record later must read the same number."""
    with pytest.raises(ValidationError):
        TableRows(name="users", rows=size)
    details = json.loads(golden("backup_catalog.backup_created"))["details"] | {"size": size}
    with pytest.raises(RecordError, match="size"):
        decode_event(altered(golden("backup_catalog.backup_created"), details=details))


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{}", b'"text"', b"\xff", b"[" * 100_000])
def test_bytes_that_are_no_record_are_refused(data: bytes) -> None:
    """Whatever stands in a row gives a record error, never a crash."""
    with pytest.raises(RecordError):
        decode_event(data)


@pytest.mark.slow
@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_value_in_any_place_gives_a_record_error_at_worst(value: Any) -> None:
    """No type of value slips past the checks as another error."""
    fields = json.loads(SCHEDULE_LINE)
    for key in KEYS:
        changed = {**fields, key: value}
        if changed == fields:
            continue
        try:
            decode_event(json.dumps(changed).encode())
        except RecordError:
            continue
        assert key in ("causation_id", "error_message", "user_id", "stream_version")


def test_an_event_that_the_format_does_not_have_is_refused_when_it_is_written() -> None:
    """A key of changed fields must be one that records can have."""
    with pytest.raises(RecordError, match="snake_case"):
        encode_event(event(draft(SettingsUpdated, before={"Keep Count": 1})))
