"""Rows of the source's last copy: taken over for a block that is the same, else tried."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from commands.offsite.repository.index import Place
from commands.offsite.repository.last_copy import BLOCK_CHUNKS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from commands.offsite.repository.index import Index
    from commands.offsite.repository.last_copy import LastCopy


class Rows(NamedTuple):
    """Neighboring rows of a manifest: packs by their number in it, frames, places in these."""

    packs: array[int]
    frames: memoryview
    places: memoryview


class TakenOver:
    """What a source's last copy says about each block of its file."""

    def __init__(
        self,
        index: Index,
        last: LastCopy | None,
        chunk_bytes: int,
        number_of: Callable[[int], int],
    ) -> None:
        """`number_of`: the number in the new manifest of a pack of the index."""
        is_same = last is not None and last.manifest.head.chunk_bytes == chunk_bytes
        self._last = last if is_same else None
        self._number_of = number_of
        self._ids: list[int | None] = []
        if self._last is not None:
            manifest = self._last.manifest
            names = [pack.name for pack in manifest.packs]
            ids = index.ids(names)
            self._ids = [
                found if (found := ids.get(name)) in index.usable else None for name in names
            ]
            self._packs = manifest.pack_column
            self._frames = manifest.frame_column
            self._places = manifest.place_column
            self._frame_chunks = manifest.head.frame_chunks

    def rows(self, number: int, digest: bytes, is_whole: bool) -> Rows | None:
        """The rows of a block; None where it changed, or a pack of it may not be leaned on."""
        if self._last is None or not is_whole or not self._last.has_block(number, digest):
            return None
        part = slice(number * BLOCK_CHUNKS, (number + 1) * BLOCK_CHUNKS)
        packs = self._packs[part].tolist()
        numbers: dict[int, int] = {}
        for pack in set(packs):
            pack_id = self._ids[pack]
            if pack_id is None:
                return None
            numbers[pack] = self._number_of(pack_id)
        renumbered = array("I", [numbers[pack] for pack in packs])
        return Rows(renumbered, self._frames[part], self._places[part])

    def places(self, number: int, count: int) -> Sequence[Place | None]:
        """Where the chunks of a block were, `count` of them; None for what is not to be had."""
        if self._last is None:
            return [None] * count
        part = slice(number * BLOCK_CHUNKS, number * BLOCK_CHUNKS + count)
        rows = zip(self._packs[part], self._frames[part], self._places[part], strict=True)
        places = [
            None
            if (pack_id := self._ids[pack]) is None
            else Place(pack_id, frame * self._frame_chunks + place)
            for pack, frame, place in rows
        ]
        return places + [None] * (count - len(places))
