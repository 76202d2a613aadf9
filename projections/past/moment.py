"""Where in the ledger a moment of the past is.

A moment is a position; a time stands for the greatest position that was written by then. That
is found from the index on `recorded_at` alone, and so is whether the clock ever ran backwards
around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ledger.append.reading import read_head
from ledger.append.stored_tree import TreeReader
from ledger.append.tables import events
from ledger.clock import from_microseconds, require_aware, to_microseconds
from ledger.tree.proofs import root_at
from projections.errors import ProjectionError

if TYPE_CHECKING:
    from sqlalchemy import Connection

_recorded = events.c.recorded_at
_HOW_MANY = func.count()  # beside min or max it keeps SQLite on the index, off the records


class NoSuchPosition(ProjectionError, LookupError):
    """The ledger does not reach to the position."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in the ledger that somebody asked for, as a time or as a position.

    `recorded_at`: when the event at the position was written; None at 0, before the first.
    `clock_jump`: the first earlier position with a later time, if there is one.
    """

    asked: datetime | int
    position: int
    root: bytes
    recorded_at: datetime | None
    clock_jump: int | None

    @property
    def time(self) -> datetime | None:
        """What o'clock it was: the time asked for, or when the event was written."""
        return self.asked if isinstance(self.asked, datetime) else self.recorded_at


def moment_at(connection: Connection, asked: datetime | int) -> Moment:
    """Find a time (aware) or a position in the ledger of this connection.

    Raises:
        NoSuchPosition: it is negative, or beyond the ledger's end.
        ProjectionError: the time written beside the event is none.
        ProofError: the hashes that the root is made of are not there.
    """
    size = read_head(connection).size
    if isinstance(asked, datetime):
        asked = require_aware(asked)
        position, clock_jump = _written_by(connection, to_microseconds(asked), size)
        written = _written_at(connection, position)
    else:
        position = require_position(asked, size)
        written = _written_at(connection, position)
        first_later = None if written is None else _later_than(connection, written)[1]
        clock_jump = _before(position, first_later)
    return Moment(
        asked=asked,
        position=position,
        root=root_at(position, TreeReader(connection)),
        recorded_at=None if written is None else _time_of(position, written),
        clock_jump=clock_jump,
    )


def require_position(position: int, size: int) -> int:
    """A position that a ledger of this size has, or 0.

    Raises:
        NoSuchPosition: it is negative, or beyond the ledger's end.
    """
    if not 0 <= position <= size:
        raise NoSuchPosition(f"the ledger has no position {position}; it ends at {size}")
    return position


def _written_by(connection: Connection, moment: int, size: int) -> tuple[int, int | None]:
    """The greatest position whose time is not later, and the first before it that is later."""
    count, first_later = _later_than(connection, moment)
    if first_later is None:
        return size, None
    if first_later + count - 1 == size:  # positions have no gaps: all that came after it
        return first_later - 1, None
    statement = select(_HOW_MANY, func.max(events.c.position)).where(_recorded <= moment)
    position = connection.execute(statement).one()[1] or 0
    return position, _before(position, first_later)


def _later_than(connection: Connection, moment: int) -> tuple[int, int | None]:
    """How many events have a later time, and the first of them."""
    statement = select(_HOW_MANY, func.min(events.c.position)).where(_recorded > moment)
    count, first = connection.execute(statement).one()
    return count, first


def _before(position: int, first_later: int | None) -> int | None:
    return first_later if first_later is not None and first_later < position else None


def _written_at(connection: Connection, position: int) -> int | None:
    statement = select(_recorded).where(events.c.position == position)
    return connection.execute(statement).scalar_one_or_none()


def _time_of(position: int, microseconds: int) -> datetime:
    try:
        return from_microseconds(microseconds)
    except OverflowError as error:
        raise ProjectionError(
            f"recorded_at of position {position} is {microseconds}, which is not a valid time; run "
            "`backup-ledger audit verify`"
        ) from error
