"""Is a stored row what it says it is? The quick yes, and the full explanation of a no.

Almost every row gets the quick yes: one hash, one match of `ledger.records.grammar`, and its
columns compared with what the record itself says. Whatever does not is looked at in full.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from ledger.canonical_json import canonical_bytes, parse_canonical, parse_json
from ledger.errors import RecordError, UnknownEvent
from ledger.events import REGISTRY
from ledger.records.grammar import grammar_before_nonces, grammar_of
from ledger.records.record import MAX_RECORD_BYTES, Event, decode_event
from ledger.tree.merkle import leaf_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Matcher = Callable[[str], Any]

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


class SoundRows(NamedTuple):
    """Of rows that are right: leaf hashes, `recorded_at`, and the records' own timestamps."""

    leaves: tuple[bytes, ...]
    recorded_at: tuple[int, ...]
    timestamps: tuple[str, ...]


class Problem(NamedTuple):
    """One thing that is wrong with a row. `kind` groups what is alike."""

    kind: str
    problem: str
    expected: Any
    found: Any


def sound_rows(rows: Sequence[Any], after: int) -> SoundRows | None:
    """What verification goes on with if everything about these rows is right, else None.

    They must stand right behind the position `after`. None says that some row is wrong, not
    which: that is for `problems_of`.
    """
    # The hot path of a verification: a column at a time, which is what Python is quickest at.
    positions, streams, versions, types, records, leaves, recorded = zip(*rows, strict=True)
    try:
        found = _matched(types, records, _MATCHERS) or _matched(types, records, _OLDER_TOO)
        if found is None:
            return None
        hashes = [sha256(b"\x00" + record).digest() for record in records]
        sizes = map(len, records)
    except TypeError:
        return None  # a value that is not bytes
    _, its_streams, its_versions, timestamps = zip(*found, strict=True)
    is_sound = (
        positions == tuple(range(after + 1, after + 1 + len(rows)))
        and hashes == list(leaves)
        and its_streams == streams
        and its_versions == tuple(map(str, versions))
        and max(sizes) <= MAX_RECORD_BYTES
        and set(map(type, recorded)) == {int}
    )
    return SoundRows(leaves, recorded, timestamps) if is_sound else None


def _matched(
    types: Sequence[Any], records: Sequence[Any], matchers: Mapping[str, Matcher]
) -> list[Any] | None:
    try:
        return [
            matchers[event_type](record.decode()).groups()
            for event_type, record in zip(types, records, strict=True)
        ]
    except (AttributeError, KeyError, TypeError, UnicodeDecodeError):
        return None  # no match, an unknown type, or a value that is not text or not bytes


def problems_of(row: Row) -> Iterator[Problem]:
    """Everything that is wrong with a row and its record, by the full rules; nothing if right."""
    record = row.record
    if type(record) is not bytes:
        yield Problem("stored form", "the record is not stored as bytes", "bytes", record)
        return
    expected = leaf_hash(record)
    if expected != row.leaf_hash:
        yield Problem(
            "leaf hash",
            "the record does not match its leaf hash: one of the two was changed",
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
        yield Problem("record form", "the record is not JSON", "canonical JSON", str(error))
        return
    if not isinstance(fields, dict):
        yield Problem("record form", "the record is not a JSON object", "an object", row.record)
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
            "the record does not have exactly the keys of a record",
            "its sixteen keys",
            f"missing {missing}, too many {extra}",
        )
        return
    try:
        if canonical_bytes(fields) != record:
            yield Problem(
                "canonical form",
                "the record is not in canonical form: its JSON should have other bytes",
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
        yield Problem(
            "record content", "the record is not a valid event", "a valid event", str(error)
        )


class _FullMatch:
    """The full check of a type that has no grammar, in the grammar's place."""

    def __init__(self, event_type: str) -> None:
        self._event_type = event_type

    def __call__(self, text: str) -> _FullMatch | None:
        try:
            fields = parse_canonical(text.encode())
            decode_event(text.encode())
        except RecordError:
            return None
        if fields["event_type"] != self._event_type:
            return None
        self._fields = fields
        return self

    def groups(self) -> tuple[str, ...]:
        names = ("resource_id", "stream", "stream_version", "timestamp")
        return tuple(str(self._fields[name]) for name in names)


def _matcher(event_type: str) -> Matcher:
    grammar = grammar_of(event_type)
    return _FullMatch(event_type) if grammar is None else grammar.fullmatch


def _older_matcher(event_type: str) -> Matcher:
    newest, before = _MATCHERS[event_type], grammar_before_nonces(event_type)
    if before is None:
        return newest
    older = before.fullmatch
    return lambda text: newest(text) or older(text)


class _Matchers(dict[str, "Matcher"]):
    """Each made once a record asks for it: compiling all of them takes as long as a start."""

    def __init__(self, make: Callable[[str], Matcher]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, event_type: str) -> Matcher:
        if event_type not in REGISTRY:
            raise KeyError(event_type)
        matcher = self[event_type] = self._make(event_type)
        return matcher


_MATCHERS = _Matchers(_matcher)
_OLDER_TOO = _Matchers(_older_matcher)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def _hex(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)
