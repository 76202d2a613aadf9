"""Rows of a damaged SQLite file, read page by page without SQLite.

SQLite finds a table through its schema and the inner pages of its tree; one damaged page there
hides every row below it. The rows themselves stand in leaf pages, each of which can be read alone:

- page 1 begins after a file header of 100 bytes; https://www.sqlite.org/fileformat2.html#b_tree_pages
- a table's leaf page begins with 0x0D; bytes 3-4 say how many cells it has, and from byte 8 on
  stand their places, two bytes each;
- a cell is: bytes of payload (varint), rowid (varint), payload; what does not fit goes to a chain
  of overflow pages, each of which begins with the number of the next;
- a payload is: bytes of its header (varint), a serial type for each column (varint), the values.

The write-ahead log holds pages as well, each behind a frame header of 24 bytes; those up to the
last commit replace the file's (https://www.sqlite.org/fileformat2.html#the_write_ahead_log).

What is read this way may be anything: the caller knows its rows, and proves them by their hash.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

Value = int | bytes | str | float | None
LEAF = 0x0D
FILE_HEADER_BYTES = 100
PAGE_SIZES = tuple(512 << shift for shift in range(8))
USUAL_PAGE_SIZE = 4096
MAX_PAYLOAD_BYTES = 1 << 20
"""No row of a ledger is larger: a record has at most 65,535 bytes."""

_WAL_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
_MORE = 0x80
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)
_FLOAT, _ZERO, _ONE, _FIRST_TEXT = 7, 8, 9, 12


class NotReadable(Exception):
    """These bytes are not a row."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a row stands: its page, in the file or in the log, and its place in the page."""

    page: int
    offset: int
    in_log: bool


@dataclass(slots=True)
class PageFile:
    """A SQLite file, and perhaps its write-ahead log, as pages."""

    file: BinaryIO
    log: BinaryIO | None
    page_size: int
    reserved: int = 0
    pages: int = 0
    _frames: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, file: BinaryIO, log: BinaryIO | None) -> PageFile:
        """As its header says; where that is garbage, with pages of the usual size."""
        header = _at(file, 0, FILE_HEADER_BYTES)
        size, reserved = USUAL_PAGE_SIZE, 0
        if header.startswith(b"SQLite format 3\0"):
            found = int.from_bytes(header[16:18])
            size = 65_536 if found == 1 else found if found in PAGE_SIZES else USUAL_PAGE_SIZE
            reserved = header[20] if header[20] < size // 2 else 0
        opened = cls(file, log, size, reserved)
        opened.pages = -(-file.seek(0, 2) // size)
        opened._read_log()
        return opened

    def rows(self) -> Iterator[tuple[Cell, int, tuple[Value, ...]]]:
        """Every row that can be read, with its rowid: the file's, then the log's."""
        for number in range(1, self.pages + 1):
            yield from self._rows_of(number, in_log=False)
        for number in self._frames:
            yield from self._rows_of(number, in_log=True)

    def row(self, cell: Cell) -> tuple[int, tuple[Value, ...]]:
        """One row again.

        Raises:
            NotReadable: it cannot be read.
        """
        return self._row(self._page(cell.page, in_log=cell.in_log), cell)

    def _rows_of(
        self, number: int, *, in_log: bool
    ) -> Iterator[tuple[Cell, int, tuple[Value, ...]]]:
        page = self._page(number, in_log=in_log)
        begins = FILE_HEADER_BYTES if number == 1 else 0
        if len(page) < begins + 8 or page[begins] != LEAF:
            return
        count = int.from_bytes(page[begins + 3 : begins + 5])
        for index in range(min(count, self.page_size // 4)):
            place = begins + 8 + 2 * index
            cell = Cell(number, int.from_bytes(page[place : place + 2]), in_log)
            try:
                rowid, values = self._row(page, cell)
            except NotReadable:
                continue
            yield cell, rowid, values

    def _row(self, page: bytes, cell: Cell) -> tuple[int, tuple[Value, ...]]:
        try:
            size, place = _varint(page, cell.offset)
            rowid, place = _varint(page, place)
            if not 0 < size <= MAX_PAYLOAD_BYTES:
                raise NotReadable
            payload = self._payload(page, place, size, in_log=cell.in_log)
            return _signed(rowid), _values(payload)
        except (IndexError, struct.error, UnicodeDecodeError) as error:
            raise NotReadable from error

    def _payload(self, page: bytes, place: int, size: int, *, in_log: bool) -> bytes:
        usable = self.page_size - self.reserved
        if size <= usable - 35:
            return _exactly(page[place : place + size], size)
        least = (usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (usable - 4)
        local = local if local <= usable - 35 else least
        parts, left = [page[place : place + local]], size - local
        following = int.from_bytes(_exactly(page[place + local : place + local + 4], 4))
        while left > 0:
            overflow = _exactly(self._page(following, in_log=in_log)[:usable], usable)
            parts.append(overflow[4 : 4 + left])
            left -= usable - 4
            following = int.from_bytes(overflow[:4])
        return _exactly(b"".join(parts), size)

    def _page(self, number: int, *, in_log: bool) -> bytes:
        if in_log and self.log is not None and number in self._frames:
            return _at(self.log, self._frames[number], self.page_size)
        if not 0 < number <= self.pages:
            return b""
        return _at(self.file, (number - 1) * self.page_size, self.page_size)

    def _read_log(self) -> None:
        """Where the last committed version of each page stands in the log."""
        if self.log is None:
            return
        header = _at(self.log, 0, _WAL_HEADER_BYTES)
        if len(header) < _WAL_HEADER_BYTES or int.from_bytes(header[8:12]) != self.page_size:
            return
        end = self.log.seek(0, 2)
        place, pending = _WAL_HEADER_BYTES, dict[int, int]()
        while len(frame := _at(self.log, place, _FRAME_HEADER_BYTES)) == _FRAME_HEADER_BYTES:
            if frame[8:16] != header[16:24]:  # left from before the log began anew
                break
            place += _FRAME_HEADER_BYTES
            if place + self.page_size > end:  # cut short
                break
            pending[int.from_bytes(frame[:4])] = place
            if int.from_bytes(frame[4:8]):  # a commit
                self._frames |= pending
                pending = {}
            place += self.page_size


def _at(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise NotReadable
    return data


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A big-endian integer of seven bits a byte, nine bytes at most; and what follows it."""
    value = 0
    for index in range(8):
        byte = data[place + index]
        value = value << 7 | byte & ~_MORE
        if not byte & _MORE:
            return value, place + index + 1
    return value << 8 | data[place + 8], place + 9


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _values(payload: bytes) -> tuple[Value, ...]:
    header_bytes, place = _varint(payload, 0)
    found: list[Value] = []
    body = header_bytes
    while place < header_bytes:
        serial, place = _varint(payload, place)
        value, size = _value(payload, body, serial)
        found.append(value)
        body += size
    return tuple(found)


def _value(payload: bytes, place: int, serial: int) -> tuple[Value, int]:
    """A value by its serial type, and how many bytes it takes."""
    if serial < len(_INTEGER_BYTES):
        size = _INTEGER_BYTES[serial]
        data = _exactly(payload[place : place + size], size)
        return (int.from_bytes(data, signed=True) if size else None), size
    if serial == _FLOAT:
        return struct.unpack_from(">d", payload, place)[0], 8
    if serial in (_ZERO, _ONE):
        return serial - _ZERO, 0
    if serial < _FIRST_TEXT:
        raise NotReadable
    size = (serial - _FIRST_TEXT) // 2
    data = _exactly(payload[place : place + size], size)
    return (data.decode() if serial % 2 else data), size
