"""A record as a row: its columns, flat, for spreadsheets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger.canonical_json import canonical_bytes, parse_json

if TYPE_CHECKING:
    from ledger.append.reading import StoredRecord

COLUMNS = (
    "position",
    "timestamp",
    "event_type",
    "user_id",
    "actor_kind",
    "actor_id",
    "resource_type",
    "resource_id",
    "action",
    "success",
    "error_message",
    "details",
    "event_id",
)


def record_cells(record: StoredRecord) -> list[Any]:
    """The values of those columns."""
    fields = parse_json(record.record)
    fields["details"].pop("nonce", None)  # it is for the record's hash alone
    flat = fields | {
        "position": record.position,
        "event_id": None if record.is_erased else fields["event_id"],
        "actor_kind": fields["actor"]["kind"],
        "actor_id": fields["actor"]["id"],
        "success": "true" if fields["success"] else "false",
        "details": canonical_bytes(fields["details"]).decode(),
    }
    return [flat[name] for name in COLUMNS]
