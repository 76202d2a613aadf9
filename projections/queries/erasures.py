"""What was erased, asked of the ledger itself: an act is one append, for one ticket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.append.erasing.stand_ins import redactions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection

    from ledger.append.erasing.stand_ins import Redaction


@dataclass(frozen=True, slots=True)
class Erasure:
    """One act of erasing. `position`: of its first event; `records`: positions that were erased."""

    position: int
    erased_at: datetime
    ticket: str
    reason: str
    records: tuple[int, ...]


def erasures(connection: Connection, after: int = 0) -> list[Erasure]:
    """Acts whose events stand behind a position, oldest first."""
    acts: dict[str, list[Redaction]] = {}
    for each in redactions(connection):
        if each.at > after:
            acts.setdefault(each.event.correlation_id, []).append(each)
    return [_act(found) for found in acts.values()]


def _act(found: Iterable[Redaction]) -> Erasure:
    first, *others = found
    return Erasure(
        first.at,
        first.event.timestamp,
        first.details.ticket,
        first.details.reason,
        tuple(each.details.position for each in (first, *others)),
    )
