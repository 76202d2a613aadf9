"""From wall-clock time to instants: what "03:00 in Berlin" means on a given day.

One sentence decides every case: the instant of a local time is the first at which the
clocks on the wall show that time or a later one. So a time that the clocks skip moves
forward to the end of the gap, and one that happens twice is the first:

    02:30 on 2025-03-30 in Europe/Berlin   -> 01:00 UTC, when the clocks jump to 03:00
    02:30 on 2025-10-26 in Europe/Berlin   -> 00:30 UTC, still in summer time
    03:00 on 2011-12-30 in Pacific/Apia    -> 10:00 UTC, when the 31st begins there

The names of zones come from the IANA database: https://www.iana.org/time-zones
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_BACKUP_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_SHOWN_CHARACTERS = 60
_ONE_DAY = timedelta(days=1)
_ONE_SECOND = timedelta(seconds=1)


class UnknownTimeZone(ValueError):
    """A text that names no time zone of the IANA database."""


def as_utc(moment: datetime, what: str) -> datetime:
    """The same instant in UTC.

    Args:
        moment: an aware datetime of any zone.
        what: how the message names it, for example "now".

    Raises:
        ValueError: it is naive, so nobody knows which instant it means.
    """
    if moment.utcoffset() is None:
        raise ValueError(f"{what} is {moment.isoformat()}, without a time zone: give an aware one")
    return moment.astimezone(UTC)


@cache
def _zone_names() -> frozenset[str]:
    # The list of the tzdata package, not a look at the folders of this machine: those hold
    # files that are not a zone ("localtime", "posix/..."), and differ from one machine to another.
    listed = (files("tzdata") / "zones").read_text(encoding="ascii").split()
    return frozenset(listed) - {"Factory"}


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The time zone with this IANA name, spelled exactly as IANA does.

    Raises:
        UnknownTimeZone: there is none.
    """
    if name not in _zone_names():
        raise UnknownTimeZone(
            f"there is no time zone {name[:_SHOWN_CHARACTERS]!r}: "
            "use an IANA name such as 'Europe/Berlin' or 'UTC'"
        )
    return ZoneInfo(name)


def is_known(name: str) -> bool:
    """Whether this machine knows the time zone of this name."""
    return name in _zone_names()


def parse_backup_time(text: str) -> time:
    """The time of day that "HH:MM" stands for, "00:00" to "23:59".

    Raises:
        ValueError: anything else, also "3:00", "24:00" or digits of another script.
    """
    match = _BACKUP_TIME.fullmatch(text)
    if match is None:
        raise ValueError(
            f"the backup time {text[:_SHOWN_CHARACTERS]!r} is not a time of day: "
            "write HH:MM, from 00:00 to 23:59"
        )
    return time(int(match[1]), int(match[2]))


def instant_of(day: date, at: time, tz: ZoneInfo) -> datetime:
    """The instant, in UTC, at which it is `at` on `day` in this zone.

    Raises:
        OverflowError: the instant lies outside the years 1 to 9999.
    """
    wall = datetime.combine(day, at.replace(fold=0), tzinfo=None)
    instant = wall.replace(tzinfo=tz).astimezone(UTC)
    if _wall(instant, tz) == wall:
        return instant
    # Skipped. PEP 495: read with fold=1 it lies before the jump, with fold=0 not before it.
    before = wall.replace(tzinfo=tz, fold=1).astimezone(UTC)
    return _first_past(wall, tz, before, instant)


def _wall(instant: datetime, tz: ZoneInfo) -> datetime:
    # Without its fold, so that it compares as a reading of the clock.
    return instant.astimezone(tz).replace(tzinfo=None, fold=0)


def _first_past(wall: datetime, tz: ZoneInfo, before: datetime, after: datetime) -> datetime:
    # Bisection in whole seconds, because clocks jump on whole seconds.
    early, late = before.replace(microsecond=0), after.replace(microsecond=0)
    while late - early > _ONE_SECOND:
        middle = early + timedelta(seconds=(late - early) // _ONE_SECOND // 2)
        if _wall(middle, tz) > wall:
            late = middle
        else:
            early = middle
    return late


@lru_cache(maxsize=4_096)  # a herd is due at one moment
def nominal_slot(next_backup_at: datetime, backup_time: str, timezone: str) -> datetime:
    """The latest instant, in UTC, not after `next_backup_at`, at which it is `backup_time`.

    A projection uses it to find the slot that a run stands for, when the run was put off
    by less than the time from one slot to the next.

    Raises:
        ValueError: a naive datetime, no time of day, or no time zone.
    """
    instant = as_utc(next_backup_at, "next_backup_at")
    tz, at = zone(timezone), parse_backup_time(backup_time)
    if timezone == "UTC":  # by far the most frequent, and without any jumps
        slot = datetime.combine(instant.date(), at, UTC)
        return slot if slot <= instant else slot - _ONE_DAY
    today = instant.astimezone(tz).date()
    # Clocks set back over midnight show yesterday's date again after today's slot has passed,
    # hence tomorrow. Yesterday's has always passed: any time of today is later than it.
    for day in (today + _ONE_DAY, today):
        slot = instant_of(day, at, tz)
        if slot <= instant:
            return slot
    return instant_of(today - _ONE_DAY, at, tz)
