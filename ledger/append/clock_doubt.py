"""Whether the clock can be trusted, by the recorded times alone: a clock is a witness, no judge.

High water is the greatest recorded time. A clock that is over an hour below it, or over a year
above everything recorded, is in doubt, and nothing is deleted by age. The doubt ends when the clock
is at or above the old high water, or when what was recorded since the jump spans 24 hours without
another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from ledger.append.tables import events
from ledger.clock import format_instant, from_microseconds

if TYPE_CHECKING:
    from sqlalchemy import Connection

HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
YEAR: Final = 365 * DAY

_recorded = events.c.recorded_at


def is_jump(before: int, now: int) -> bool:
    """Whether two times that follow each other are too far apart (microseconds since 1970)."""
    return now < before - HOUR or now > before + YEAR


def clock_doubt(connection: Connection, now: int) -> str | None:
    """Why the clock is in doubt, in words; None where it is not. `now`: microseconds since 1970."""
    high_water = connection.execute(select(func.max(_recorded))).scalar_one()
    if high_water is None:
        return None
    if not isinstance(high_water, int):  # SQLite keeps what somebody wrote there
        return "the ledger's recorded times are damaged"
    if now > high_water + YEAR:
        return f"the clock is over a year ahead of the last recorded time, {_told(high_water)}"
    behind = now < high_water - HOUR
    after = _last_position_beyond(connection, now + HOUR) if behind else 0
    if _has_a_day_since_the_jump(connection, after):
        return None
    if behind:
        return f"the clock is behind the last recorded time, {_told(high_water)}"
    return "the clock jumped ahead by more than a year less than a day ago"


def last_jump_ahead(connection: Connection, now: int) -> int | None:
    """The time to which the clock jumped by over a year, if it did less than a day ago."""
    newest = select(_recorded).order_by(events.c.position.desc()).limit(1)
    last = connection.execute(newest).scalar()
    if last is None:
        return None
    if is_jump(last, now) and now > last:
        return now
    before = connection.execute(
        select(_recorded, events.c.position)
        .where(_recorded <= last - DAY)
        .order_by(events.c.position.desc())
        .limit(1)
    ).first()
    if before is None:
        return None
    led_to = select(_recorded).where(events.c.position == before.position + 1)
    first = connection.execute(led_to).scalar_one()
    return int(first) if first - before.recorded_at > YEAR else None


def _last_position_beyond(connection: Connection, moment: int) -> int:
    statement = select(func.max(events.c.position)).where(_recorded > moment)
    return connection.execute(statement).scalar_one() or 0


def _has_a_day_since_the_jump(connection: Connection, after: int) -> bool:
    """Whether what follows a position spans a day without a jump of a year in it.

    A ledger without a jump (`after` 0) may be younger than a day.
    """
    newest = select(_recorded).where(events.c.position > after)
    last = connection.execute(newest.order_by(events.c.position.desc()).limit(1)).scalar()
    if last is None:
        return False
    since = events.c.position > after
    earlier = select(func.max(_recorded)).where(_recorded <= last - DAY, since)
    before = connection.execute(earlier).scalar()
    if before is None:
        return after == 0
    later = select(func.min(_recorded)).where(_recorded > last - DAY, since)
    if connection.execute(later).scalar_one() - before <= YEAR:
        return True
    # A jump back and forth again: the clock is where it was before, and that is no doubt.
    jumped_from = select(func.max(events.c.position)).where(_recorded == before, since)
    position = connection.execute(jumped_from).scalar_one()
    was_at = connection.execute(
        select(func.max(_recorded)).where(events.c.position < position, since)
    ).scalar()
    return was_at is not None and last <= was_at + YEAR


def _told(moment: int) -> str:
    return format_instant(from_microseconds(moment))
