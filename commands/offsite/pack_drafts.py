"""Facts about packs of a destination: missing or damaged, and whole again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.retention.parts import cut_into_parts
from ledger.append.ledger import Draft
from ledger.events.offsite import PacksFound, PacksMissing
from ledger.vocabulary import destination_stream

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

GONE = "packs that were there are gone, or have another size"
DAMAGED = "packs are damaged: their SHA-256 is not their name"


def pack_drafts(
    repository_id: str,
    *,
    missing: Collection[str] = (),
    found: Collection[str] = (),
    damaged: bool,
) -> Iterator[Draft]:
    """Long lists as several events; nothing for empty ones."""
    message = DAMAGED if damaged else GONE
    for kind, names, why in ((PacksMissing, missing, message), (PacksFound, found, None)):
        if not names:
            continue
        parts = cut_into_parts([(name, name) for name in sorted(names)])
        for number, packs in enumerate(parts, 1):
            details = kind(
                packs=packs, count=len(names), damaged=damaged, part=number, parts=len(parts)
            )
            yield Draft(destination_stream(repository_id), details, error_message=why)
