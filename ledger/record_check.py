"""Is a stored row what it says it is? The quick yes, and the full explanation of a no.

Almost every row gets the quick yes: one hash, one match of `ledger.record_grammar`, and its
columns compared with what the record itself says. Whatever does not is looked at in full.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from ledger.canonical_json import canonical_bytes, parse_json
from ledger.clock_notes import MINUTE
from ledger.errors import RecordError, UnknownEvent
from ledger.events import REGISTRY
from ledger.merkle import leaf_hash
from ledger.record import MAX_RECORD_BYTES, Event, decode_event
from ledger.record_grammar import grammar_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.clock_notes import ClockNotes

_MATCHERS = {
    event_type: grammar.fullmatch
    for event_type in REGISTRY
    if (grammar := grammar_of(event_type)) is not None
}
_COLUMNS = ("stream", "stream_version", "event_type")
RECORD_KEYS = frozenset(Event.model_fields)


class Row(NamedTuple):
    """One row of `ledger_events`, as the database gives it: of any type, after tampering."""

    position: Any
    stream: Any
    stream_version: Any
    event_type: Any
    record: Any
    leaf_hash: Any
    recorded_at: Any


class Problem(NamedTuple):
    """One thing that is wrong with a row. `kind` groups what is alike."""

    kind: str
    problem: str
    expected: Any
    found: Any


def pass_sound_rows(
    rows: Iterator[Any], after: int, leaves: list[bytes], clocks: ClockNotes
) -> Row | None:
    """Pass over rows as long as everything about them is right at first sight.

    Their leaf hashes are added to `leaves`. Returns the first row that needs `problems_of`, or
    that does not stand right behind the one before it (`after` is the position before the
    first); None when all rows have passed.
    """
    # The hot loop of a verification: all in one function, and whatever it calls is local.
    digest, matchers, add = sha256, _MATCHERS, leaves.append
    last, minute, latest = clocks.last, clocks.minute, clocks.latest
    row = None
    try:
        for row in rows:
            after += 1
            position, stream, version, event_type, record, leaf, recorded_at = row
            if position != after or len(record) > MAX_RECORD_BYTES:
                break
            found = matchers[event_type](record.decode())
            if found is None or digest(b"\0" + record).digest() != leaf:
                break
            _, its_stream, its_version, timestamp = found.groups()
            if its_stream != stream or its_version != str(version) or type(recorded_at) is not int:
                break
            if last <= recorded_at <= latest and timestamp[:MINUTE] == minute:
                last = recorded_at
            else:
                clocks.last = last
                clocks.look_at(position, recorded_at, timestamp)
                last, minute, latest = clocks.last, clocks.minute, clocks.latest
            add(leaf)
        else:
            row = None
    except (AttributeError, KeyError, TypeError, UnicodeDecodeError):
        pass  # of an unknown type, or no text, bytes or number where there must be one
    clocks.last = last
    return None if row is None else Row(*row)


def problems_of(row: Row) -> Iterator[Problem]:
    """Everything that is wrong with a row, by the full rules; nothing if it is right."""
    record = row.record
    if record is None:
        yield Problem(
            "removed record",
            "the record was removed; only its leaf hash is left",
            f"bytes with the leaf hash {_hex(row.leaf_hash)}",
            None,
        )
        return
    if type(record) is not bytes:
        yield Problem("stored form", "the record is not stored as bytes", "bytes", record)
        return
    expected = leaf_hash(record)
    if expected != row.leaf_hash:
        yield Problem(
            "leaf hash",
            "the record does not fit its leaf hash: one of the two was changed",
            f"leaf hash {_hex(row.leaf_hash)}, as stored beside it",
            f"a record with the leaf hash {expected.hex()}",
        )
    if len(record) > MAX_RECORD_BYTES:
        limit = f"at most {MAX_RECORD_BYTES} bytes"
        yield Problem("record size", "the record is too large", limit, f"{len(record)} bytes")
    yield from _content_problems(row)


def timestamp_of(record: Any) -> str | None:
    """The timestamp that a record gives, or None where it gives none."""
    try:
        fields = parse_json(record) if type(record) is bytes else None
    except RecordError:
        return None
    found = fields.get("timestamp") if isinstance(fields, dict) else None
    return found if isinstance(found, str) else None


def _content_problems(row: Row) -> Iterator[Problem]:
    try:
        fields = parse_json(row.record)
    except RecordError as error:
        yield Problem("record form", "the record is no JSON", "canonical JSON", str(error))
        return
    if not isinstance(fields, dict):
        yield Problem("record form", "the record is no JSON object", "an object", row.record)
        return
    yield from _form_problems(row.record, fields)
    for name in _COLUMNS:
        if name in fields and not _same(fields[name], getattr(row, name)):
            yield Problem(
                f"column {name}",
                f"the column {name} contradicts the record",
                f"{fields[name]!r}, as the record says",
                repr(getattr(row, name)),
            )


def _form_problems(record: bytes, fields: dict[str, Any]) -> Iterator[Problem]:
    if set(fields) != RECORD_KEYS:
        missing, extra = sorted(RECORD_KEYS - set(fields)), sorted(set(fields) - RECORD_KEYS)
        yield Problem(
            "record keys",
            "the record has not exactly the keys of a record",
            "its sixteen keys",
            f"missing {missing}, too many {extra}",
        )
        return
    try:
        if canonical_bytes(fields) != record:
            yield Problem(
                "canonical form",
                "the record is not in canonical form: the same JSON has other bytes",
                canonical_bytes(fields).decode(),
                record.decode(),
            )
    except RecordError as error:
        yield Problem("canonical form", "the record is not canonical JSON", "RFC 8785", str(error))
    try:
        decode_event(record)
    except UnknownEvent as error:
        known = "an event type and version of the registry"
        yield Problem("unknown event", "the event is of an unknown type", known, str(error))
    except RecordError as error:
        yield Problem("record content", "the record is no valid event", "a valid event", str(error))


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def _hex(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)
