"""What is left of an erased record: its leaf hash, and what was kept for folds and readers.

Erasing takes the bytes of a record away, and an event `ledger.record_redacted` keeps who and why,
and everything that cannot hold personal data (`Details.personal`, `Details.file_names`). From that
a record is made that stands in for the one that is gone: of the same type, in the same place, with
"[erased]" in place of each removed text. Whoever reads the ledger reads that.

The nonce and the event's id are not kept: both make the leaf hash of an erased record unguessable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger.canonical_json import canonical_bytes
from ledger.errors import RecordError
from ledger.events import REGISTRY
from ledger.events.housekeeping import RecordRedacted
from ledger.events.scheduling import BackupStarted
from ledger.records.record import Event, decode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ERASED = "[erased]"
"""In place of a text that was removed; a text that was never there stays null."""

NO_EVENT_ID = "00000000-0000-0000-0000-000000000000"
"""The event id of a record that stands in for an erased one."""

_ENVELOPE = (
    "action",
    "correlation_id",
    "resource_id",
    "resource_type",
    "schema_version",
    "stream_version",
    "success",
    "timestamp",
    "user_id",
)
"""What is kept as it stands in the record, beside the kind of actor and the details."""


def erased_name(backup_id: str) -> str:
    """What the file of a deleted backup is called once its own name was erased."""
    return f"erased-{backup_id}.db"


def kept_of(event: Event, new_names: Mapping[str, str]) -> dict[str, Any]:
    """What stays readable of an event. `new_names`: file name -> the one that takes its place.

    The details are kept in the newest form of their type, whatever the record's own was.
    """
    fields = event.model_dump(mode="json", include=set(_ENVELOPE))
    kind = type(event.details)
    if kind is RecordRedacted:
        fields["actor_id"] = event.actor.id  # who erased something stays known
    details = event.details.to_facts()
    for path in kind.personal:
        _change(details, path.split("."), _erase)
    for path in kind.file_names:
        _change(details, path.split("."), lambda name: new_names.get(name, name))
    return {**fields, "actor_kind": event.actor.kind, "details": details}


def stand_in(redaction: RecordRedacted) -> bytes:
    """The record that stands in for an erased one.

    Raises:
        RecordError: what was kept is not a valid event of its type.
    """
    kept = redaction.kept
    kind = REGISTRY.get(redaction.redacted_type)
    keys = {*_ENVELOPE, "actor_kind", "details"} | (
        {"actor_id"} if kind is RecordRedacted else set()
    )
    if not isinstance(kept.get("details"), dict) or kept.keys() != keys:
        raise RecordError("what was kept of an erased record has not exactly the keys of that")
    is_claim = kind is BackupStarted  # the id of a claim is that of its run, and stays known
    record = canonical_bytes(
        {
            **{name: kept[name] for name in _ENVELOPE},
            "actor": {"id": kept.get("actor_id", ERASED), "kind": kept["actor_kind"]},
            "causation_id": None,
            "details": {**kept["details"], "nonce": None},
            "error_message": None if kept["success"] else ERASED,
            "event_id": kept["correlation_id"] if is_claim else NO_EVENT_ID,
            "event_type": redaction.redacted_type,
            "stream": redaction.stream,
        }
    )
    decode_event(record)
    return record


def personal_texts(event: Event) -> dict[str, Any]:
    """What of an event would be removed, apart from file names: field -> its content."""
    kind = type(event.details)
    details, erased = event.details.to_facts(), event.details.to_facts()
    for path in kind.personal:
        _change(erased, path.split("."), _erase)
    return {name: value for name, value in details.items() if value != erased[name]}


def file_names_of(event: Event) -> dict[str, str]:
    """The file names in an event: the backup's id -> its name."""
    details = event.details
    found: dict[str, str] = {}
    for path in type(details).file_names:
        name, _dot, inner = path.partition(".")
        value = getattr(details, name)
        if inner:
            found |= {each.backup_id: getattr(each, inner) for each in value}
        else:
            found[getattr(details, "backup_id", event.resource_id)] = value
    return found


def _change(value: Any, path: list[str], change: Callable[[Any], Any]) -> None:
    """Change what a path leads to, within a JSON value; through lists to each entry."""
    name, rest = path[0], path[1:]
    for each in value if isinstance(value, list) else [value]:
        if rest:
            _change(each[name], rest, change)
        else:
            each[name] = change(each[name])


def _erase(value: Any) -> Any:
    """The value without its texts; numbers and what is null stay."""
    if isinstance(value, str):
        return ERASED
    if isinstance(value, list):
        return [_erase(each) for each in value]
    if isinstance(value, dict):
        return {name: _erase(each) for name, each in value.items()}
    return value


def redacted_among(records: Sequence[bytes]) -> dict[int, tuple[RecordRedacted, bytes]]:
    """Position -> what says that it was erased, and its stand-in, of all records from the first.

    A record that was erased is empty; one that is still there may have been erased since.
    """
    found: dict[int, tuple[RecordRedacted, bytes]] = {}
    for position in range(len(records), 0, -1):
        record = records[position - 1] or found.get(position, (None, b""))[1]
        if RecordRedacted.event_type.encode() not in record:
            continue
        details = decode_event(record).details
        if isinstance(details, RecordRedacted) and details.position < position:
            found[details.position] = details, stand_in(details)
    return found
