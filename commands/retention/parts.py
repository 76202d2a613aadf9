"""Long lists as several events of one append: no event is ever lost to the size limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ledger.canonical_json import canonical_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ENTRIES = 200
MAX_BYTES = 48 * 1024

Entry = TypeVar("Entry")


def cut_into_parts(entries: Sequence[tuple[Entry, Any]]) -> list[list[Entry]]:
    """Cut (entry, its JSON) pairs into parts of at most 200 entries or 48 KB; at least one part."""
    parts: list[list[Entry]] = [[]]
    size = 0
    for entry, json_value in entries:
        entry_bytes = len(canonical_bytes(json_value)) + 1
        if len(parts[-1]) == MAX_ENTRIES or (parts[-1] and size + entry_bytes > MAX_BYTES):
            parts.append([])
            size = 0
        parts[-1].append(entry)
        size += entry_bytes
    return parts
