"""Envelope <-> bytes: the record format that must never change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.canonical_json import canonical_bytes, parse_canonical
from ledger.errors import RecordError
from ledger.events import AUDITED_TYPES, REGISTRY
from ledger.events.catalog import BackupCreated, BackupMissing
from ledger.records.record import MAX_RECORD_BYTES, cut_text, decode_event, encode_event
from tests.ledger.golden_records import GOLDEN_LINES, KEYS, fields_of, golden
from tests.sample_events import draft, event


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


def test_canonical_bytes_of_a_records_fields_are_the_record() -> None:
    """A record can be checked with any RFC 8785 library, without this software."""
    for line in GOLDEN_LINES:
        assert canonical_bytes(json.loads(line)) == line


def test_every_event_gets_a_nonce_of_its_own() -> None:
    """128 random bits: nobody can guess what was erased and confirm it by the leaf hash."""
    same = draft(BackupMissing)
    nonces = {event(same).details.nonce for _ in range(50)}
    assert len(nonces) == 50
    assert all(nonce is not None and len(nonce) == 32 for nonce in nonces)


def test_a_record_of_the_newest_version_without_a_nonce_is_refused() -> None:
    """Only records of older versions had none; theirs is null."""
    fields = json.loads(encode_event(event(draft(BackupMissing))))
    del fields["details"]["nonce"]
    with pytest.raises(RecordError, match="no nonce"):
        decode_event(canonical_bytes(fields))
    assert decode_event(golden("backup_catalog.backup_missing")).details.nonce is None


def test_the_nonce_stays_in_the_record() -> None:
    """What is shown or handed on has none, and neither does the text of the details."""
    details = event(draft(BackupMissing)).details
    assert details.nonce is not None
    assert "nonce" not in details.to_facts()
    assert details.nonce not in repr(details)


@pytest.mark.parametrize("kind", REGISTRY.values(), ids=lambda kind: kind.event_type)
def test_declared_personal_fields_are_there(kind: Any) -> None:
    """A misspelled declaration would erase nothing."""
    for path in (*kind.personal, *kind.file_names):
        name, _dot, inner = path.partition(".")
        annotation = kind.model_fields[name].annotation
        if inner:
            (entry,) = annotation.__args__
            assert inner in entry.model_fields
