"""The one place where time is read. Everything else is told what time it is."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


class Clock(Protocol):
    """Tells the time of day, and a time that never runs backwards."""

    def now(self) -> datetime:
        """The time of day, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment of this boot; never runs backwards."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is told to move: for replays and the demo."""

    def __init__(self, now: datetime) -> None:
        self._now = require_aware(now)
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def move_to(self, now: datetime) -> None:
        """Jump to a time of day; backwards too, as real clocks do."""
        step = (require_aware(now) - self._now).total_seconds()
        self._now = now.astimezone(UTC)
        self._monotonic += max(step, 0.0)

    def advance(self, step: timedelta) -> None:
        self.move_to(self._now + step)


def require_aware(moment: datetime) -> datetime:
    """The moment in UTC.

    Raises:
        ValueError: it has no time zone, so nobody can say when it was.
    """
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(f"{moment!r} has no time zone; give an aware datetime, such as UTC")
    return moment.astimezone(UTC)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, exact."""
    return (require_aware(moment) - EPOCH) // MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def format_instant(moment: datetime) -> str:
    """The form in records: UTC, six digits, Z."""
    return require_aware(moment).isoformat(timespec="microseconds")[:-6] + "Z"


def parse_instant(text: str) -> datetime:
    """Read the form in records, and no other.

    Raises:
        ValueError: the text is anything but "YYYY-MM-DDTHH:MM:SS.ffffffZ".
    """
    if _INSTANT.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not an instant of the form 2025-01-13T03:00:05.000000Z")
    return datetime.fromisoformat(text)
