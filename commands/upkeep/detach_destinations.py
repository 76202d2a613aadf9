"""Before a ledger is copied, its off-site destinations are detached: in the source and the copy.

Both would go on writing there otherwise, and delete what the other one needs. Whoever goes on with
one of them attaches it again (`offsite attach`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from commands.site.actors import operator
from ledger.append.database import translated_errors
from ledger.append.ledger import Context, Draft, Ledger
from ledger.append.tables import events
from ledger.clock import SystemClock
from ledger.events.housekeeping import LedgerMoved
from ledger.events.offsite import DestinationAdded, DestinationDetached
from ledger.masking import masked
from ledger.vocabulary import LEDGER_STREAM, destination_stream
from projections.folds.offsite_destination import evolve_destination
from projections.queries.locked import fold_locked

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ledger.append.recorder import LockedHead
    from projections.folds.offsite_destination import Destination


def detach_destinations(engine: Engine, place: str) -> list[str]:
    """Detach every destination that a ledger writes to, and record where it goes; their names.

    `place`: where the ledger is copied to. Appends nothing where no destination is attached.
    """
    streams = _streams(engine)
    if not streams:
        return []
    clock = SystemClock()
    context = Context(operator(), clock.now())

    def decide(locked: LockedHead) -> tuple[list[Draft], list[str]]:
        found = [fold_locked(locked, each, evolve_destination) for each in streams]
        attached = [each for each in found if each is not None and each.is_attached]
        if not attached:
            return [], []
        moved = Draft(LEDGER_STREAM, LedgerMoved(place=masked(place)))
        return [moved, *map(_detached, attached)], [each.name for each in attached]

    _, names = Ledger(engine, clock).decide_with_result(context, decide)
    return names


def _streams(engine: Engine) -> list[str]:
    beginning = destination_stream("")
    with translated_errors(engine), engine.connect() as connection:
        found = connection.execute(
            select(events.c.stream)
            .where(
                (events.c.stream >= beginning) & (events.c.stream < "destination0"),
                events.c.event_type == DestinationAdded.event_type,
            )
            .distinct()
        ).scalars()
        return sorted(found)


def _detached(destination: Destination) -> Draft:
    details = DestinationDetached(name=destination.name, reason="the ledger was copied")
    return Draft(destination_stream(destination.repository_id), details)
