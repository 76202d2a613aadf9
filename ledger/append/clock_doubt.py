"""Whether the clock can be trusted, by the recorded times alone: a clock is a witness, no judge.

High water is the greatest recorded time. A clock that is over an hour below it, or over a year
above everything recorded, is in doubt, and nothing is deleted by age. The doubt ends when the clock
is at or above the old high water, or when what was recorded since the jump spans 24 hours without
another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, bindparam, func, select

from ledger.append.prepared import Prepared
from ledger.append.tables import events
from ledger.clock import format_instant, from_microseconds

if TYPE_CHECKING:
    from sqlalchemy import Connection

HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
YEAR: Final = 365 * DAY

_recorded, _position = events.c.recorded_at, events.c.position
_moment = bindparam("moment", type_=BigInteger)
_after = bindparam("after", type_=BigInteger)
# Each run asks, so each is compiled once. On a ledger of a million events none reads more than
# what was recorded within a day, as long as the clock is where it was.
_HIGH_WATER = Prepared(select(func.max(_recorded)))
_NEWEST = Prepared(select(_recorded).where(_position > _after).order_by(_position.desc()).limit(1))
_LAST_BY = Prepared(
    select(_recorded, _position)
    .where(_recorded + 0 <= _moment)  # not by the index of times: it would sort all that is older
    .order_by(_position.desc())
    .limit(1)
)
_RECORDED_AT = Prepared(select(_recorded).where(_position == _after))
_LAST_BEYOND = Prepared(select(func.max(_position)).where(_recorded > _moment))
_LAST_AT = Prepared(select(func.max(_position)).where(_recorded == _moment, _position > _after))
_GREATEST_BY = Prepared(select(func.max(_recorded)).where(_recorded <= _moment, _position > _after))
_LEAST_BEYOND = Prepared(select(func.min(_recorded)).where(_recorded > _moment, _position > _after))
_GREATEST_BEFORE = Prepared(
    select(func.max(_recorded)).where(_position < _moment, _position > _after)
)


def is_jump(before: int, now: int) -> bool:
    """Whether two times that follow each other are too far apart (microseconds since 1970)."""
    return now < before - HOUR or now > before + YEAR


def clock_doubt(connection: Connection, now: int) -> str | None:
    """Why the clock is in doubt, in words; None where it is not. `now`: microseconds since 1970."""
    high_water = _one(_HIGH_WATER, connection)
    if high_water is None:
        return None
    if not isinstance(high_water, int):  # SQLite keeps what somebody wrote there
        return "the ledger's recorded times are damaged"
    if now > high_water + YEAR:
        return f"the clock is over a year ahead of the last recorded time, {_told(high_water)}"
    behind = now < high_water - HOUR
    after = (_one(_LAST_BEYOND, connection, moment=now + HOUR) or 0) if behind else 0
    if _has_a_day_since_the_jump(connection, after):
        return None
    if behind:
        return f"the clock is behind the last recorded time, {_told(high_water)}"
    return "the clock jumped ahead by more than a year less than a day ago"


def last_jump_ahead(connection: Connection, now: int) -> int | None:
    """The time to which the clock jumped by over a year, if it did less than a day ago."""
    last = _one(_NEWEST, connection, after=0)
    if last is None:
        return None
    if is_jump(last, now) and now > last:
        return now
    before = _LAST_BY.run(connection, {"moment": last - DAY}).fetchone()
    if before is None:
        return None
    recorded_at, position = before
    first = _one(_RECORDED_AT, connection, after=position + 1)
    return int(first) if first - recorded_at > YEAR else None


def _one(statement: Prepared, connection: Connection, **parameters: int) -> Any:
    """The one value that a statement asks for; None where there is none."""
    row = statement.run(connection, parameters).fetchone()
    return None if row is None else row[0]


def _has_a_day_since_the_jump(connection: Connection, after: int) -> bool:
    """Whether what follows a position spans a day without a jump of a year in it.

    A ledger without a jump (`after` 0) may be younger than a day.
    """
    last = _one(_NEWEST, connection, after=after)
    if last is None:
        return False
    before = _one(_GREATEST_BY, connection, moment=last - DAY, after=after)
    if before is None:
        return after == 0
    if _one(_LEAST_BEYOND, connection, moment=last - DAY, after=after) - before <= YEAR:
        return True
    # A jump back and forth again: the clock is where it was before, and that is no doubt.
    position = _one(_LAST_AT, connection, moment=before, after=after)
    was_at = _one(_GREATEST_BEFORE, connection, moment=position, after=after)
    return was_at is not None and last <= was_at + YEAR


def _told(moment: int) -> str:
    return format_instant(from_microseconds(moment))
