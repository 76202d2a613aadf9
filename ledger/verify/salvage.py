"""What a damaged ledger file still holds: records that prove themselves by their leaf hash.

Each row of `ledger_events` carries its record and the record's leaf hash, so a row that was found
anywhere in the file (`sqlite_pages`) is good if the two agree, whatever is damaged around it. One
that was erased has no record any more: for it a sound record must say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from ledger.append.copy import LedgerRow
from ledger.errors import RecordError
from ledger.events.housekeeping import RecordRedacted
from ledger.records.record import decode_event
from ledger.tree.merkle import HASH_BYTES, Frontier, leaf_hash
from ledger.verify.sqlite_pages import Cell, PageFile, Value

if TYPE_CHECKING:
    from typing import BinaryIO

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST = 2**53


@dataclass(slots=True)
class Salvage:
    """What was found. `altered`: positions whose record is not the one of its leaf hash.

    `head_size`, `head_root`, `ledger_id`, `created_at`: as the file says, None where that is lost.
    """

    pages: PageFile
    cells: dict[int, Cell] = field(default_factory=dict)
    altered: set[int] = field(default_factory=set)
    head_size: int | None = None
    head_root: bytes | None = None
    ledger_id: str | None = None
    created_at: str | None = None
    bare: dict[int, Cell] = field(default_factory=dict)
    redactions: list[RecordRedacted] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many records there were, as far as anything still says so."""
        return max(self.head_size or 0, max(self.cells, default=0), max(self.altered, default=0))

    @property
    def whole_until(self) -> int:
        """The last position before which nothing is lost: the records that make a ledger."""
        position = 0
        while position + 1 in self.cells:
            position += 1
        return position

    def lost(self) -> list[tuple[int, int]]:
        """Ranges of positions, first and last, that cannot be read."""
        ranges: list[tuple[int, int]] = []
        before = 0
        for position in (*sorted(self.cells), self.size + 1):
            if position > before + 1:
                ranges.append((before + 1, position - 1))
            before = position
        return ranges

    def rows(self, up_to: int | None = None) -> Iterator[LedgerRow]:
        """The records that can be read, in order."""
        for position in sorted(self.cells):
            if up_to is not None and position > up_to:
                return
            row = _row_of(*self.pages.row(self.cells[position]))
            if row is not None:
                yield row

    def root(self) -> str:
        """Root of the tree over the records before which nothing is lost, in hex."""
        leaves = [row.leaf_hash for row in self.rows(self.whole_until)]
        return Frontier().append_leaves(leaves)[0].root().hex()


def salvage(file: BinaryIO, log: BinaryIO | None = None) -> Salvage:
    """Look through every page of a ledger's file, and of its write-ahead log.

    Both are plain copies that nobody else has open.
    """
    found = Salvage(PageFile.of(file, log))
    for cell, rowid, values in found.pages.rows():
        row = _row_of(rowid, values)
        if row is not None:
            _take(found, cell, row)
        else:
            _look_at_head(found, values)
            _look_at_meta(found, values)
    _take_erased(found)
    found.altered -= found.cells.keys()
    return found


def _take(found: Salvage, cell: Cell, row: LedgerRow) -> None:
    if row.record is None:
        found.bare[row.position] = cell
    elif leaf_hash(row.record) != row.leaf_hash:
        found.altered.add(row.position)
    else:
        found.cells[row.position] = cell
        if row.event_type == RecordRedacted.event_type:
            with suppress(RecordError):
                found.redactions.append(cast("RecordRedacted", decode_event(row.record).details))


def _take_erased(found: Salvage) -> None:
    """Without its record nothing proves a row, unless a sound record says that it was erased."""
    said = {
        (each.position, each.stream, each.stream_version, each.redacted_type, each.leaf_hash)
        for each in found.redactions
    }
    for position, cell in found.bare.items():
        row = _row_of(*found.pages.row(cell))
        if row is None or (*row[:4], row.leaf_hash.hex()) not in said:
            found.altered.add(position)
        else:
            found.cells[position] = cell


def _row_of(rowid: int, values: tuple[Value, ...]) -> LedgerRow | None:
    """A row of `ledger_events`, whose position is the rowid and no column of its own."""
    if len(values) != len(LedgerRow._fields) or values[0] is not None:
        return None
    _, stream, version, event_type, record, leaf, recorded_at = values
    if (
        not 0 < rowid < _MOST
        or not isinstance(stream, str)
        or not isinstance(version, int)
        or not isinstance(event_type, str)
        or not isinstance(record, bytes | None)
        or not isinstance(leaf, bytes)
        or len(leaf) != HASH_BYTES
        or not isinstance(recorded_at, int)
    ):
        return None
    return LedgerRow(rowid, stream, version, event_type, record, leaf, recorded_at)


def _look_at_head(found: Salvage, values: tuple[Value, ...]) -> None:
    """A row of `ledger_head` proves itself, too: its frontier leads to its root."""
    if len(values) != 5 or values[0] != 1:  # noqa: PLR2004 - its columns
        return
    _, size, root, frontier, _ = values
    if not (isinstance(size, int) and isinstance(root, bytes) and isinstance(frontier, bytes)):
        return
    try:
        is_sound = Frontier.from_bytes(size, frontier).root() == root
    except ValueError:
        return
    if is_sound and size >= (found.head_size or 0):
        found.head_size, found.head_root = size, root


def _look_at_meta(found: Salvage, values: tuple[Value, ...]) -> None:
    if len(values) not in (3, 4):
        return
    ledger_id, version, created_at = values[:3]
    if (
        isinstance(ledger_id, str)
        and isinstance(version, int)
        and isinstance(created_at, str)
        and _UUID.fullmatch(ledger_id)
    ):
        found.ledger_id, found.created_at = ledger_id, created_at
