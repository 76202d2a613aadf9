"""Clocks that jumped: worth knowing, never a finding.

`recorded_at` is not hashed and may differ from `timestamp` for honest reasons (a slow command,
a clock that was set); so what is odd about it is counted and told.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ledger.clock import EPOCH, MICROSECOND, from_microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FAR_MICROSECONDS = 3_600_000_000
"""An hour: `recorded_at` and `timestamp` are normally taken within the same second."""


class ClockNotes:
    """Counts what is odd about times, and remembers where it began.

    `last` is the newest `recorded_at`.
    """

    def __init__(self) -> None:
        self.last = 0
        self._backwards = self._far = 0
        self._first_backwards = self._first_far = 0

    def look_at_all(
        self, first_position: int, recorded_at: Sequence[int], timestamps: Sequence[str]
    ) -> None:
        """The times of records that follow each other."""
        in_order = recorded_at[0] >= self.last and list(recorded_at) == sorted(recorded_at)
        if in_order:
            earliest = min(recorded_at[0], _microseconds(min(timestamps)))
            latest = max(recorded_at[-1], _microseconds(max(timestamps)))
            if latest - earliest <= FAR_MICROSECONDS:
                self.last = recorded_at[-1]
                return
        both = zip(recorded_at, timestamps, strict=True)
        for position, (one, timestamp) in enumerate(both, first_position):
            self.look_at(position, one, timestamp)

    def look_at(self, position: int, recorded_at: int, timestamp: str | None) -> None:
        """One record's two times; without a timestamp, one."""
        if recorded_at < self.last:
            self._backwards += 1
            self._first_backwards = self._first_backwards or position
        self.last = recorded_at
        if timestamp is not None and abs(recorded_at - _microseconds(timestamp)) > FAR_MICROSECONDS:
            self._far += 1
            self._first_far = self._first_far or position

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
    """Of a record's timestamp; 0 for one that is none, which is a finding elsewhere."""
    try:
        return (datetime.fromisoformat(timestamp) - EPOCH) // MICROSECOND
    except (TypeError, ValueError):
        return 0


def _shown(microseconds: int) -> str:
    try:
        return from_microseconds(microseconds).isoformat(timespec="seconds")
    except OverflowError:
        return f"{microseconds} microseconds after 1970, which is not a valid time,"
