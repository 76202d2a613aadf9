"""How many pages of each pack a manifest names: a pack that is hardly used is retired."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from commands.offsite.repository.packs import Pack


def pages_used(
    packs: Sequence[Pack], rows: Iterable[tuple[int, int, int]], frame_chunks: int
) -> list[int]:
    """Distinct pages, in the order of the packs. `rows`: (pack, frame, place) of every chunk."""
    seen = [bytearray(len(pack.frames) * frame_chunks) for pack in packs]
    for pack, frame, place in rows:
        seen[pack][frame * frame_chunks + place] = 1
    return [each.count(1) for each in seen]
