"""Clocks that jumped: worth knowing, never a finding.

`recorded_at` is not hashed and may differ from `timestamp` for honest reasons (a slow command,
a clock that was set); so what is odd about it is counted and told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.clock import from_microseconds, parse_instant, to_microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

FAR_MICROSECONDS = 3_600_000_000
"""An hour: `recorded_at` and `timestamp` are normally taken within the same second."""

_MINUTE_MICROSECONDS = 60_000_000
MINUTE = len("2025-01-13T03:00")


class ClockNotes:
    """Counts what is odd about times, and remembers where it began.

    `last`: the newest `recorded_at`. A record with a timestamp in `minute` and a `recorded_at`
    from `last` to `latest` has nothing odd, and needs no look: that is most of them.
    """

    def __init__(self) -> None:
        self.last = 0
        self.minute = ""
        self.latest = -1
        self._minute_at = 0
        self._backwards = self._far = 0
        self._first_backwards = self._first_far = 0

    def look_at(self, position: int, recorded_at: int, timestamp: str | None) -> None:
        """One record's two times, in the order of positions; without a timestamp, one."""
        if recorded_at < self.last:
            self._backwards += 1
            self._first_backwards = self._first_backwards or position
        self.last = recorded_at
        if timestamp is None:
            return
        if timestamp[:MINUTE] != self.minute:
            self.minute = timestamp[:MINUTE]
            self._minute_at = _microseconds(self.minute + ":00.000000Z")
        distance = abs(recorded_at - _microseconds(timestamp))
        if distance > FAR_MICROSECONDS:
            self._far += 1
            self._first_far = self._first_far or position
        # Near the limit each second counts, so there every record is looked at.
        near = abs(recorded_at - self._minute_at) < FAR_MICROSECONDS - _MINUTE_MICROSECONDS
        self.latest = self._minute_at + FAR_MICROSECONDS - _MINUTE_MICROSECONDS if near else -1

    def notes(self) -> Iterator[str]:
        if self._backwards:
            yield (
                f"recorded_at runs backwards at {self._backwards} places, first at position "
                f"{self._first_backwards}: the clock was set back"
            )
        if self._far:
            yield (
                f"recorded_at is more than an hour away from the record's timestamp at "
                f"{self._far} places, first at position {self._first_far}"
            )
        if self.last:
            yield f"the last record was written at {_shown(self.last)} by the clock of its machine"


def _microseconds(timestamp: str) -> int:
    """Of a timestamp; 0 for one that is none, which is a finding elsewhere."""
    try:
        return to_microseconds(parse_instant(timestamp))
    except ValueError:
        return 0


def _shown(microseconds: int) -> str:
    try:
        return from_microseconds(microseconds).isoformat(timespec="seconds")
    except OverflowError:
        return f"{microseconds} microseconds after 1970, which is no time,"
