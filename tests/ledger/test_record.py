"""Envelope <-> bytes: the record format that must never change."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from ledger.canonical_json import canonical_bytes, parse_canonical
from ledger.clock import format_instant
from ledger.errors import RecordError, UnknownEvent
from ledger.events import AUDITED_TYPES, REGISTRY
from ledger.events.catalog import BackupCreated, BackupMissing, TableRows
from ledger.events.scheduling import SettingsCreated, SettingsUpdated, SlotsMissed
from ledger.record import MAX_RECORD_BYTES, cut_text, decode_event, encode_event
from tests.sample_events import NOW, draft, event, sample

GOLDEN = Path(__file__).parent / "golden" / "records.jsonl"
GOLDEN_LINES = GOLDEN.read_bytes().splitlines()
KEYS = (
    "action actor causation_id correlation_id details error_message event_id event_type "
    "resource_id resource_type schema_version stream stream_version success timestamp user_id"
).split()


def fields_of(line: bytes) -> tuple[str, int]:
    fields = json.loads(line)
    return fields["event_type"], fields["schema_version"]


def test_every_event_type_and_version_has_a_golden_record() -> None:
    """For a new type or version, append a line to golden/records.jsonl; never change one."""
    wanted = {
        (kind.event_type, version)
        for kind in REGISTRY.values()
        for version in range(1, kind.schema_version + 1)
    }
    assert {fields_of(line) for line in GOLDEN_LINES} == wanted


@pytest.mark.parametrize("line", GOLDEN_LINES, ids=lambda line: "{}@{}".format(*fields_of(line)))
def test_golden_record_is_read_and_written_byte_for_byte(line: bytes) -> None:
    """What was once appended stays readable, and its leaf hash stays the same."""
    event_type, version = fields_of(line)
    decoded = decode_event(line)
    assert decoded.event_type == event_type
    if version == REGISTRY[event_type].schema_version:
        assert encode_event(decoded) == line


@pytest.mark.parametrize("line", GOLDEN_LINES, ids=lambda line: "{}@{}".format(*fields_of(line)))
def test_every_record_has_exactly_the_sixteen_keys(line: bytes) -> None:
    """In canonical form, so they come sorted."""
    assert list(parse_canonical(line)) == KEYS


def test_the_fourteen_audit_types_keep_their_names() -> None:
    """Existing readers filter on them."""
    assert set(AUDITED_TYPES) == {
        "backup_scheduler.start",
        "backup_scheduler.stop",
        "backup_scheduler.check_error",
        "backup_scheduler.settings_created",
        "backup_scheduler.settings_updated",
        "backup_scheduler.settings_error",
        "backup_scheduler.backup_completed",
        "backup_scheduler.backup_error",
        "backup_retention.applied",
        "backup_retention.safety_check",
        "backup_retention.error",
        "backup_retention.delete_error",
        "backup_retention.cleanup_empty",
        "backup_retention.cleanup_old_protected",
    }
    assert len(AUDITED_TYPES) == 14


def with_warnings_of(total_bytes: int) -> Any:
    """A backup_created whose record has about so many bytes."""
    created = event(draft(BackupCreated, warnings=[]))
    spare = total_bytes - len(encode_event(created)) - 2
    return event(draft(BackupCreated, warnings=["x" * spare]))


def test_a_record_of_the_largest_size_is_written() -> None:
    """65,535 bytes are still allowed."""
    assert len(encode_event(with_warnings_of(MAX_RECORD_BYTES))) == 65_535


def test_a_larger_record_is_refused() -> None:
    """One byte more is not, and the message says how large it is."""
    with pytest.raises(RecordError, match="65536 bytes; the limit is 65535"):
        encode_event(with_warnings_of(MAX_RECORD_BYTES + 1))


@given(st.text(st.characters(), max_size=50), st.integers(0, 120))
@example("é" * 3000, 4096)
@example("\U0001f600" * 2000, 4095)
@example("a\ud800b", 3)
def test_text_is_cut_on_a_character(text: str, limit: int) -> None:
    """The longest prefix that fits, with lone surrogates as question marks."""
    clean = text.encode("utf-8", "replace").decode()
    cut = cut_text(text, limit)
    assert clean.startswith(cut)
    assert len(cut.encode()) <= limit
    following = clean[: len(cut) + 1]
    assert following == cut or len(following.encode()) > limit


def test_an_error_message_is_cut_at_4096_bytes() -> None:
    """However long the message, the event is not lost."""
    failed = draft(BackupMissing)
    made = event(type(failed)(failed.stream, failed.details, error_message="x" + "é" * 40_000))
    assert made.error_message == "x" + "é" * 2047
    assert len(encode_event(made)) < MAX_RECORD_BYTES


def altered(line: bytes = GOLDEN_LINES[0], **changes: Any) -> bytes:
    return json.dumps({**json.loads(line), **changes}).encode()


def golden(event_type: str) -> bytes:
    return next(line for line in GOLDEN_LINES if fields_of(line)[0] == event_type)


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
    """A loss that claims to be a success is no valid record, nor a failure without a message."""
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
    "timestamp",
    [
        "2025-01-13T03:00:05Z",
        "2025-01-13T03:00:05.000Z",
        "2025-01-13T03:00:05.000000",
        "2025-01-13T03:00:05.000000+00:00",
        "2025-01-13T03:00:05.0000000Z",
        "2025-01-13 03:00:05.000000Z",
        "2025-01-13t03:00:05.000000z",
        "2025-01-13T03:00:05,000000Z",
        "2025-02-30T03:00:05.000000Z",
        "2025-01-13T24:00:00.000000Z",
        "2025-01-13T03:00:60.000000Z",
        "2025-W03-1T03:00:05.000000Z",
        "20250113T030005.000000000Z",
        "２025-01-13T03:00:05.000000Z",
        "+2025-1-13T03:00:05.00000Z",
        "",
    ],
)
def test_a_time_in_another_form_is_refused(timestamp: str) -> None:
    """UTC, always six digits and Z: in the envelope, and in the details."""
    with pytest.raises(RecordError, match=r"timestamp"):
        decode_event(altered(timestamp=timestamp))
    details = json.loads(SCHEDULE_LINE)["details"] | {"next_backup_at": timestamp}
    with pytest.raises(RecordError, match=r"next_backup_at"):
        decode_event(altered(SCHEDULE_LINE, details=details))


@given(st.datetimes(timezones=st.just(UTC)))
@example(datetime(1, 1, 1, tzinfo=UTC))
@example(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
def test_every_moment_is_read_back_as_it_was_written(moment: datetime) -> None:
    """Also of the first millennium, whose years have leading zeros."""
    made = event(draft(SlotsMissed, first_slot=moment), at=moment)
    assert decode_event(encode_event(made)) == made
    assert len(format_instant(moment)) == 27


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    """Aware is enough; the record has one form."""
    berlin = timezone(timedelta(hours=1))
    made = event(draft(BackupMissing), at=NOW.astimezone(berlin))
    assert json.loads(encode_event(made))["timestamp"] == "2025-01-13T03:00:05.000000Z"


def test_a_naive_time_is_refused() -> None:
    """Nobody can say when it was: neither in the envelope nor in the details."""
    naive = datetime(2025, 1, 13, 3, 0)
    with pytest.raises(ValidationError, match="no time zone"):
        event(draft(BackupMissing), at=naive)
    with pytest.raises(ValidationError, match="no time zone"):
        sample(SettingsCreated, next_backup_at=naive)


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


def test_canonical_bytes_of_a_records_fields_are_the_record() -> None:
    """A record can be checked with any RFC 8785 library, without this software."""
    for line in GOLDEN_LINES:
        assert canonical_bytes(json.loads(line)) == line
