"""Taking a copied write-ahead log into a copied database without the key: pages are moved whole.

SQLCipher encrypts the pages in a log as it encrypts those of the database; the log's own format
and checksums are SQLite's. So a page that a committed transaction wrote is copied to its place as
it is. https://www.sqlite.org/fileformat2.html#the_write_ahead_log:

    header (32 bytes)  magic 0x377f0682 or ...83 (checksums over big-endian words), version,
                       page size, sequence, salt 1, salt 2, checksum 1, checksum 2
    frame              page number, size of the database in pages (not 0: a commit), salt 1,
                       salt 2, checksum 1, checksum 2, then the page

Frames count up to the last commit before one whose salts or checksums do not fit.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

HEADER = struct.Struct(">8I")
FRAME = struct.Struct(">6I")
MAGICS = (0x377F0682, 0x377F0683)
MASK = 0xFFFFFFFF
CHECKED_HEADER_BYTES = 24
CHECKED_FRAME_BYTES = 8


@dataclass(frozen=True, slots=True)
class CommittedPages:
    """Where the newest committed content of each page stands in a log; the database's size."""

    page_bytes: int
    page_count: int
    places: dict[int, int]


def fold_log(database: Path, log: Path) -> None:
    """Write what the log has committed into the database, and remove the log.

    Both are files of ours that nobody else has open. A log without a valid commit adds nothing.

    Raises:
        OSError: they cannot be read or written.
    """
    with log.open("rb") as logged, database.open("r+b") as file:
        committed = committed_pages(logged)
        if committed is not None:
            for page, place in committed.places.items():
                if page <= committed.page_count:
                    logged.seek(place)
                    file.seek((page - 1) * committed.page_bytes)
                    file.write(logged.read(committed.page_bytes))
            file.truncate(committed.page_count * committed.page_bytes)
    os.unlink(log)


def committed_pages(log: BinaryIO) -> CommittedPages | None:
    """Read a log from its beginning; None where it holds no commit that is whole."""
    header = log.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    magic, _version, page_bytes, _sequence, *salts_and_sums = HEADER.unpack(header)
    salts, sums = salts_and_sums[:2], (salts_and_sums[2], salts_and_sums[3])
    order = ">" if magic & 1 else "<"
    running = _checksum(order, header[:CHECKED_HEADER_BYTES], (0, 0))
    if magic not in MAGICS or running != sums:
        return None
    committed: dict[int, int] = {}
    pending: dict[int, int] = {}
    size = 0
    while len(head := log.read(FRAME.size)) == FRAME.size:
        place = log.tell()
        page, page_count, *rest = FRAME.unpack(head)
        content = log.read(page_bytes)
        if len(content) < page_bytes or rest[:2] != salts or page == 0:
            break
        running = _checksum(order, head[:CHECKED_FRAME_BYTES], running)
        running = _checksum(order, content, running)
        if running != (rest[2], rest[3]):
            break
        pending[page] = place
        if page_count:
            committed |= pending
            pending, size = {}, page_count
    return CommittedPages(page_bytes, size, committed) if size else None


def _checksum(order: str, data: bytes, before: tuple[int, int]) -> tuple[int, int]:
    """Two running sums over pairs of 32-bit words, as the format has it."""
    one, two = before
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for first in words:
        one = (one + first + two) & MASK
        two = (two + next(words) + one) & MASK
    return one, two
