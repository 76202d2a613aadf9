"""The ledger as static files: paths and contents of tiles and entry bundles. No database.

Specification: https://c2sp.org/tlog-tiles.

- a tile of level L has 256 hashes of nodes of height 8 L, or fewer at the right edge of the tree;
- an entry bundle has 256 records, each with its length before it (u16, big endian);
- a number is written in groups of three digits, all but the last with an x before it; a partial
  one of W entries ends in .p/W.

Worked example, tree of 70,000 records (273 whole tiles of level 0, and 112 hashes):

    tile/0/000 ... tile/0/272, tile/0/273.p/112
    tile/1/000, tile/1/001.p/17
    tile/2/000.p/1
    tile/entries/000 ... tile/entries/272, tile/entries/273.p/112
    tile 1234067 of level 0: tile/0/x001/x234/067
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ledger.tree.merkle import HASH_BYTES, TILE_HEIGHT, node_hash

WIDTH = 1 << TILE_HEIGHT
_LENGTH = struct.Struct(">H")


class TileError(ValueError):
    """Bytes that are not a tile or entry bundle."""


class TilePlace(NamedTuple):
    """One tile: its level, number, and how many entries it has. Level -1: an entry bundle."""

    level: int
    number: int
    width: int

    @property
    def path(self) -> str:
        level = "entries" if self.level < 0 else str(self.level)
        end = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{number_path(self.number)}{end}"

    @property
    def partials(self) -> str:
        """The prefix of all partial ones of this number."""
        level = "entries" if self.level < 0 else str(self.level)
        return f"tile/{level}/{number_path(self.number)}.p/"


def number_path(number: int) -> str:
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03d}")
    return "/".join(groups)


def tiles_between(before: int, size: int) -> Iterator[TilePlace]:
    """The hash tiles of a tree that a smaller tree of it does not have, lowest level first."""
    level = 0
    while size >> (TILE_HEIGHT * level):
        yield from _row(level, before >> (TILE_HEIGHT * level), size >> (TILE_HEIGHT * level))
        level += 1


def bundles_between(before: int, size: int) -> Iterator[TilePlace]:
    """The entry bundles of a tree that a smaller tree of it does not have."""
    return _row(-1, before, size)


class TileTree:
    """A `ledger.tree.merkle.NodeReader` over the published tiles of a tree of `size` leaves.

    `fetch` gives the bytes at a path, or None where there is nothing.
    """

    def __init__(self, size: int, fetch: Callable[[str], bytes | None]) -> None:
        self._size = size
        self._fetch = fetch
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def leaf_hashes(self, start: int, stop: int) -> Sequence[bytes]:
        """Raises TileError where a tile is not there, or is none."""
        return self._hashes(0, start, stop)

    def nodes(self, wanted: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
        """Raises TileError where a tile is not there, or is none."""
        found = {}
        for height, number in wanted:
            level, above = divmod(height, TILE_HEIGHT)
            below = self._hashes(level, number << above, number + 1 << above)
            while len(below) > 1:
                below = [node_hash(*pair) for pair in zip(below[::2], below[1::2], strict=True)]
            found[height, number] = below[0]
        return found

    def _hashes(self, level: int, start: int, stop: int) -> list[bytes]:
        """Hashes of one level, all of one tile."""
        number, first = divmod(start, WIDTH)
        return self._tile(level, number)[first : first + stop - start]

    def _tile(self, level: int, number: int) -> list[bytes]:
        if (level, number) not in self._tiles:
            width = min(WIDTH, (self._size >> TILE_HEIGHT * level) - number * WIDTH)
            place = TilePlace(level, number, width)
            data, held = self._fetch(place.path), width
            if data is None and width < WIDTH:
                # The tree has grown since: the partial tile gave way to the whole one.
                data, held = self._fetch(place._replace(width=WIDTH).path), WIDTH
            if data is None or len(data) != held * HASH_BYTES:
                raise TileError(f"{place.path} is missing, or is not a tile of {place.width}")
            hashes = [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
            self._tiles[level, number] = hashes[:width]
        return self._tiles[level, number]


def _row(level: int, before: int, size: int) -> Iterator[TilePlace]:
    if before == size:
        return
    for number in range(before // WIDTH, -(-size // WIDTH)):
        yield TilePlace(level, number, min(WIDTH, size - number * WIDTH))


def encode_bundle(records: Sequence[bytes | None]) -> bytes:
    """Records with their lengths; one whose bytes were erased is an entry of length zero."""
    return b"".join(_LENGTH.pack(len(each or b"")) + (each or b"") for each in records)


def decode_bundle(data: bytes) -> list[bytes]:
    """The records of a bundle.

    Raises:
        TileError: the bytes are not a bundle.
    """
    records, at = [], 0
    while at < len(data):
        if at + _LENGTH.size > len(data):
            raise TileError("an entry bundle is cut short")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        record = data[at : at + length]
        if len(record) != length:
            raise TileError("an entry bundle is cut short")
        records.append(record)
        at += length
    return records
