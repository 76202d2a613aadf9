"""Slots of a cron expression: five fields, read in the schedule's time zone.

    30 2 * * 1-5      02:30 from Monday to Friday
    0 * * * *         every hour
    0 3 * * MON#1     03:00 on the first Monday of a month
    0 4 L * *         04:00 on the last day of a month

The fields are those of crontab(5), as cronsim reads them: https://github.com/cuu508/cronsim
Which instant a local time means is `local_time`'s rule for every schedule: a time that the clocks
skip moves forward to the first that exists, and one that happens twice is the first. Only where
the hour field begins with a star do both count: an hourly backup leaves no hour out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cronsim import CronSim, CronSimError

from commands.schedules.local_time import as_utc, instant_of, zone
from commands.schedules.rules import CatchUp
from ledger.vocabulary import CRON_MAX_LENGTH, BackupFrequency

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

_ADVICE: Final = "give minute, hour, day, month and weekday, such as '30 2 * * 1-5'"
_FIELDS = 5
_ONE_DAY = timedelta(days=1)
_FIRST_DAY = date(2024, 1, 1)
_WHOLE_CYCLE_DAYS = 28 * 365 + 7
"""After 28 years each date falls on the same weekday again, 29 February as well."""
_DAYS_APART = {BackupFrequency.DAILY: 1, BackupFrequency.WEEKLY: 7, BackupFrequency.MONTHLY: 30}


def checked_cron(text: str) -> str:
    """An expression as it is stored: its five fields with one space between them.

    Raises:
        ValueError: it is not valid, or no date ever matches it.
    """
    expression = " ".join(text.split())
    if not _days_in_cycle(_parsed(expression)):
        raise ValueError(f"no date ever matches the cron expression {expression!r}; {_ADVICE}")
    return expression


@lru_cache(maxsize=1024)
def nearest_frequency(expression: str) -> BackupFrequency:
    """Which of the three comes nearest: by the days that lie between days with a backup."""
    apart = _WHOLE_CYCLE_DAYS / _days_in_cycle(_parsed(expression))
    return min(_DAYS_APART, key=lambda name: abs(_DAYS_APART[name] - apart))


@lru_cache(maxsize=1024)
def words_of(expression: str) -> str:
    """An expression in words, such as "at 02:30 on Monday through Friday"."""
    words = _parsed(expression).explain()
    return words[:1].lower() + words[1:]


@lru_cache(maxsize=1024)
def _parsed(expression: str) -> CronSim:
    shown = f"{expression[:CRON_MAX_LENGTH]!r}"
    if len(expression) > CRON_MAX_LENGTH or not expression.isascii():
        raise ValueError(f"{shown} is not a valid cron expression; {_ADVICE}")
    if len(expression.split()) != _FIELDS:
        raise ValueError(f"{shown} does not have five fields; {_ADVICE}")
    try:
        return CronSim(expression, datetime.combine(_FIRST_DAY, time(), UTC))
    except CronSimError as error:
        problem = str(error).removeprefix("Bad ")
        raise ValueError(
            f"{shown} is not a valid cron expression: its {problem} is wrong; {_ADVICE}"
        ) from error


def _matches(fields: CronSim, day: date) -> bool:
    return day.month in fields.months and fields.match_day(day)


def _days_in_cycle(fields: CronSim) -> int:
    days = (_FIRST_DAY + timedelta(days=number) for number in range(_WHOLE_CYCLE_DAYS))
    return sum(_matches(fields, day) for day in days)


@dataclass(frozen=True, slots=True)
class CronSlots:
    """The slots of an expression in a time zone; all instants are in UTC."""

    expression: str
    timezone: str

    def after(self, moment: datetime) -> datetime:
        """The first slot after a moment.

        Raises:
            OverflowError: it lies beyond the year 9999.
        """
        day = self._day_of(moment) - _ONE_DAY
        while not any(slot > moment for slot in self._on(day)):
            day += _ONE_DAY
        # Clocks that go back over midnight show a day again after the next one has begun.
        return min(slot for slot in self._on(day) + self._on(day + _ONE_DAY) if slot > moment)

    def until(self, moment: datetime) -> datetime:
        """The latest slot that is not after a moment.

        Raises:
            OverflowError: it lies before the year 1.
        """
        day = self._day_of(moment) + _ONE_DAY
        while not any(slot <= moment for slot in self._on(day)):
            day -= _ONE_DAY
        return max(slot for slot in self._on(day) + self._on(day - _ONE_DAY) if slot <= moment)

    def count(self, first: datetime, end: datetime) -> int:
        """How many slots there are from `first` on, without those from `end` on."""
        day, last_day = self._day_of(first) - _ONE_DAY, self._day_of(end) + _ONE_DAY
        number, edges = 0, {day, day + _ONE_DAY, day + 2 * _ONE_DAY}
        edges |= {last_day, last_day - _ONE_DAY, last_day - 2 * _ONE_DAY}
        seen: set[datetime] = set()
        while day <= last_day:
            if day in edges:  # only there some lie outside
                seen.update(slot for slot in self._on(day) if first <= slot < end)
            else:
                number += self._number_on(day)
            day += _ONE_DAY
        return number + len(seen)

    def shows(self, slot: datetime) -> bool:
        """Whether the clocks show one of the expression's times then, and not a later one."""
        local, fields = slot.astimezone(zone(self.timezone)), _parsed(self.expression)
        return (
            local.hour in fields.hours
            and local.minute in fields.minutes
            and _matches(fields, local.date())
        )

    def _number_on(self, day: date) -> int:
        tz, fields = zone(self.timezone), _parsed(self.expression)
        length = instant_of(day + _ONE_DAY, time(), tz) - instant_of(day, time(), tz)
        if length != _ONE_DAY or not _matches(fields, day):
            return len(self._on(day))
        return len(fields.hours) * len(fields.minutes)

    def _day_of(self, moment: datetime) -> date:
        return as_utc(moment, "the moment").astimezone(zone(self.timezone)).date()

    def _on(self, day: date) -> tuple[datetime, ...]:
        return _slots_on(self.expression, self.timezone, day)


@lru_cache(maxsize=256)  # users with one expression ask for the same days; a day has 1,440 at most
def _slots_on(expression: str, timezone: str, day: date) -> tuple[datetime, ...]:
    """A day's slots, in order. Where times of two days are one instant, the earlier day has it."""
    fields, tz = _parsed(expression), zone(timezone)
    if not _matches(fields, day):
        return ()
    times = [time(hour, minute) for hour in sorted(fields.hours) for minute in fields.minutes]
    slots = {instant_of(day, at, tz) for at in times}
    if expression.split()[1].startswith("*"):
        slots |= set(_second_times(day, times, tz))
    eve = day - _ONE_DAY
    if _is_skipped(eve, tz) and _matches(fields, eve):
        slots -= {instant_of(eve, at, tz) for at in times}
    return tuple(sorted(slots))


def _second_times(day: date, times: list[time], tz: ZoneInfo) -> Iterator[datetime]:
    """The instants at which the clocks show a time of this day again."""
    for at in times:
        wall = datetime.combine(day, at)
        again = wall.replace(tzinfo=tz, fold=1).astimezone(UTC)
        if again.astimezone(tz).replace(tzinfo=None) == wall:
            yield again


def _is_skipped(day: date, tz: ZoneInfo) -> bool:
    """Whether the clocks skip the end of a day, so that its times are the next day's first."""
    return instant_of(day, time(23, 59), tz) == instant_of(day + _ONE_DAY, time(), tz)


def caught_up(
    slots: CronSlots, stored: datetime, now: datetime, not_before: datetime | None
) -> CatchUp:
    """Which slot a late run carries, and which earlier ones it stands for, as `rules.catch_up`."""
    latest = max(slots.until(now), stored)
    first = stored
    if not_before is not None and first < not_before:
        first = slots.after(not_before - timedelta(microseconds=1))
    if first >= latest:
        return CatchUp(latest, None, None, 0)
    last = max(slots.until(latest - timedelta(microseconds=1)), first)
    is_on_grid = slots.until(first) == first
    return CatchUp(latest, first, last, slots.count(first, latest) + (0 if is_on_grid else 1))
