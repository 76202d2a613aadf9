"""Where each chunk of a file is, while its manifest is made: columns in a mapped scratch file.

A database of 16 GB has 4 million chunks. What was written is let go again and again, so that the
columns take room on the disk and hardly any in memory.
"""

from __future__ import annotations

import mmap
import os
from array import array
from contextlib import contextmanager
from typing import TYPE_CHECKING

from commands.offsite.repository.manifest import ROW_BYTES, ROWS_AT_ONCE
from commands.sqlite.files import create_private, take_room

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PIECE_BYTES = 1 << 20


class Columns:
    """Three columns over the chunks: pack, frame in it, place in the frame."""

    def __init__(self, mapped: mmap.mmap, count: int) -> None:
        self._mapped, self.size = mapped, ROW_BYTES * count
        self._bytes = memoryview(mapped)[: self.size]
        self._packs = self._bytes[: 4 * count].cast("I")
        self._frames = self._bytes[4 * count : 8 * count].cast("I")
        self._places = self._bytes[8 * count :]
        self._written = 0

    def put(
        self,
        first: int,
        packs: array[int],
        frames: array[int] | memoryview,
        places: bytes | bytearray | memoryview,
    ) -> None:
        """Rows of neighboring chunks, from `first` on; the numbers are u32, u32 and u8."""
        rows = slice(first, first + len(packs))
        self._packs[rows], self._frames[rows], self._places[rows] = packs, frames, places
        self._written += len(packs)
        if self._written >= ROWS_AT_ONCE:  # so many may stay in memory
            self._written = 0
            let_go(self._mapped)

    def renumber(self, numbers: Sequence[int]) -> None:
        """Call each pack by its new number; `numbers` has it at the place of the old one."""
        for start in range(0, len(self._packs), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            self._packs[part] = array("I", [numbers[pack] for pack in self._packs[part]])
            let_go(self._mapped)

    def rows(self) -> Iterator[tuple[int, int, int]]:
        """(pack, frame, place) of every chunk, in the file's order."""
        for start in range(0, len(self._packs), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            yield from zip(self._packs[part], self._frames[part], self._places[part], strict=True)
            let_go(self._mapped)

    def pieces(self) -> Iterator[memoryview]:
        """The columns as they stand in a manifest's body, one after another."""
        for start in range(0, self.size, PIECE_BYTES):
            yield self._bytes[start : start + PIECE_BYTES]
            let_go(self._mapped)


def let_go(mapped: mmap.mmap) -> None:
    """Give the memory of a mapped file back; its content is with the file."""
    mapped.madvise(mmap.MADV_DONTNEED)


@contextmanager
def mapped_columns(path: Path, count: int) -> Iterator[Columns]:
    """Columns of this many rows; the scratch file is gone at the end."""
    size = max(1, ROW_BYTES * count)
    descriptor = create_private(path)
    try:
        take_room(descriptor, size, path)  # a mapped page without room would end the process
        yield Columns(mmap.mmap(descriptor, size), count)
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)
