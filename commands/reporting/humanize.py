"""Times, sizes and counts for people: exact beside relative, and read back from what they type."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

_UNITS = (
    ("year", timedelta(days=365)),
    ("month", timedelta(days=30)),
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)
MICROSECOND = timedelta(microseconds=1)
_KILO = 1_000
_SIZE_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB", "ZB")
_WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9:]+)?)?")

MOMENT_HELP = "ISO date or time such as 2025-01-13 or 2025-01-13T03:00; without a zone it is UTC"


def exact(moment: datetime) -> str:
    """To the second, in UTC: 2025-01-13 03:00:05."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def minute(moment: datetime) -> str:
    """To the minute, in UTC: 2025-01-13 03:00."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def relative(moment: datetime, now: datetime) -> str:
    """How long ago, or how far ahead: "2 days ago", "in 4 hours", "now"."""
    distance = abs(now - moment)
    length = duration(distance)
    if distance < timedelta(seconds=1):
        return "now"
    return f"{length} ago" if moment < now else f"in {length}"


def duration(length: timedelta) -> str:
    """In the largest unit that fits: "3 hours"."""
    for name, unit in _UNITS:
        if length >= unit:
            count = length // unit
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return "0 seconds"


def both(moment: datetime, now: datetime) -> str:
    """Exact and relative: "2025-01-13 03:00:05 UTC (2 days ago)"."""
    return f"{exact(moment)} UTC ({relative(moment, now)})"


def size(size_bytes: int) -> str:
    """In decimal units: "12.4 MB"."""
    if size_bytes < _KILO:
        return f"{size_bytes} B"
    value, units = size_bytes / _KILO, iter(_SIZE_UNITS)
    unit = next(units)
    while round(value, 1) >= _KILO:
        value, unit = value / _KILO, next(units)
    return f"{value:.1f} {unit}"


def count(number: int, thing: str, things: str | None = None) -> str:
    """A number and its thing: "1 table", "3,000 rows"."""
    return f"1 {thing}" if number == 1 else f"{number:,} {things or thing + 's'}"


def parse_moment(text: str, where: tzinfo = UTC) -> datetime:
    """A moment that a person typed, in UTC; without a zone it means that of `where`.

    Raises:
        ValueError: it is no ISO date or time.
    """
    wrong = ValueError(f"{text!r} is not a date or time; give an {MOMENT_HELP}")
    if not _WRITTEN.fullmatch(text):
        raise wrong
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=where)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong from None


def parse_moment_end(text: str, where: tzinfo = UTC) -> datetime:
    """The same of a moment up to which is asked: a date alone means the end of its day.

    That is its last microsecond, so that it may be asked for with the end included.

    Raises:
        ValueError: it is not an ISO date or time.
    """
    moment = parse_moment(text, where)
    if len(text) != len("2025-01-13"):
        return moment
    day = datetime.fromisoformat(text)  # its end is where the next day of that zone begins
    try:
        return (day + timedelta(days=1)).replace(tzinfo=where).astimezone(UTC) - MICROSECOND
    except OverflowError:
        raise ValueError(f"{text!r} is the last day that there is; give an earlier one") from None
