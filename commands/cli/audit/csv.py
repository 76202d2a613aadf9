"""The audit log as CSV that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Any

from commands.reporting.csv_cells import safe_cell
from commands.reporting.terminal import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def write_csv(records: Iterable[StoredRecord], *, header: bool = True) -> int:
    """Write records as rows (RFC 4180); the last position, 0 where there is none.

    On a terminal, control characters are shown and not obeyed.
    """
    writer = csv.writer(sys.stdout)
    if header:
        writer.writerow(COLUMNS)
    position, is_terminal = 0, sys.stdout.isatty()
    for record in records:
        position = record.position
        cells = [safe_cell(value) for value in _values(record)]
        writer.writerow([plain(cell) for cell in cells] if is_terminal else cells)
    sys.stdout.flush()
    return position


def _values(record: StoredRecord) -> list[Any]:
    from ledger.canonical_json import canonical_bytes, parse_json

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
