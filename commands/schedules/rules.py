"""When a backup is due: pure rules over slots.

A slot is the nominal time of a scheduled backup: `backup_time` on a day in the user's time
zone. The next slot is counted from now, not from the slot before: today at backup_time if
that is still ahead, else 1, 7 or 30 days from today. Worked example, in UTC:

    weekly at 03:00, now Monday 02:59   -> today 03:00
    weekly at 03:00, now Monday 03:00   -> next Monday 03:00
"""

import hashlib
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from projections.folds.local_time import as_utc, instant_of, parse_backup_time, zone

MAX_RETRIES: Final = 5
"""After this many retries a slot is given up; so attempts are numbered 1 to 6."""

MAX_SPREAD_SECONDS: Final = 86_400
"""A longer delay would run into the next day's slot."""

_STEP_DAYS = {"daily": 1, "weekly": 7, "monthly": 30}
_LONGEST_MONTH_DAYS = 31
_FIRST_RETRY_SECONDS = 60
_LONGEST_RETRY_SECONDS = 3_600
# 2 ** 6 minutes is past the hour; without a limit a large attempt makes a huge number.
_LAST_DOUBLING = 6
# A slot of the next step may lie an hour, at a date line even a day, further than its days say.
_ZONE_SLACK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CatchUp:
    """The one run that makes up for slots that passed while nothing ran."""

    slot: datetime
    """The latest slot that has come, in UTC: the one the run carries."""
    first_missed: datetime | None
    """The earliest slot that the run stands for besides its own."""
    last_missed: datetime | None
    missed: int
    """How many slots from first_missed to last_missed."""


@dataclass(frozen=True, slots=True)
class _Steps:
    """How far apart slots are."""

    days: int
    calendar_months: bool

    def later(self, day: date, count: int) -> date:
        """The day that is `count` steps later; in a short month, the month's last."""
        if not self.calendar_months:
            return day + timedelta(days=self.days * count)
        years, month = divmod(day.month - 1 + count, 12)
        year, month = day.year + years, month + 1
        return date(year, month, min(day.day, monthrange(year, month)[1]))

    def at_most_between(self, day: date, later_day: date) -> int:
        """How many steps may lie between two days: never too few."""
        if not self.calendar_months:
            return (later_day - day).days // self.days
        return (later_day.year - day.year) * 12 + later_day.month - day.month


def _steps(frequency: str, *, calendar_months: bool) -> _Steps:
    if frequency not in _STEP_DAYS:
        raise ValueError(f"there is no frequency {frequency!r}: use one of {', '.join(_STEP_DAYS)}")
    return _Steps(_STEP_DAYS[frequency], calendar_months and frequency == "monthly")


def next_slot(
    frequency: str,
    backup_time: str,
    now: datetime,
    timezone: str = "UTC",
    *,
    calendar_months: bool = False,
) -> datetime:
    """The slot that comes next, in UTC: always after `now`.

    With `calendar_months`, monthly means the same day of the next month (or its last day)
    instead of 30 days.

    Raises:
        ValueError: an unknown frequency or time zone, no time of day, or a naive `now`.
    """
    steps = _steps(frequency, calendar_months=calendar_months)
    tz, at = zone(timezone), parse_backup_time(backup_time)
    present = as_utc(now, "now")
    day = present.astimezone(tz).date()
    # A second turn is rare: where clocks go back over midnight, today's date is shown again
    # after tomorrow's 00:00 has already passed.
    while (slot := instant_of(day, at, tz)) <= present:
        day = steps.later(day, 1)
    return slot


def catch_up(
    frequency: str,
    backup_time: str,
    slot: datetime,
    now: datetime,
    timezone: str = "UTC",
    *,
    calendar_months: bool = False,
) -> CatchUp:
    """Which slot a late run carries, and which earlier ones it stands for.

    Slots are counted from the stored one, one for each nominal day.

    Raises:
        ValueError: as `next_slot`, or the stored slot is still ahead.
    """
    steps = _steps(frequency, calendar_months=calendar_months)
    tz, at = zone(timezone), parse_backup_time(backup_time)
    stored, present = as_utc(slot, "slot"), as_utc(now, "now")
    if stored > present:
        raise ValueError(f"the slot {stored.isoformat()} is still ahead of {present.isoformat()}")
    first_day = _nominal_day(stored, at, tz)

    def numbered(number: int) -> datetime:
        return instant_of(steps.later(first_day, number), at, tz) if number else stored

    latest = steps.at_most_between(first_day, present.astimezone(tz).date()) + 1
    while latest and numbered(latest) > present:
        latest -= 1
    # Where a whole day was skipped, its 00:00 and the next day's are one instant: one slot.
    while latest and numbered(latest - 1) == numbered(latest):
        latest -= 1
    if not latest:
        return CatchUp(stored, None, None, 0)
    return CatchUp(numbered(latest), stored, numbered(latest - 1), latest)


def _nominal_day(slot: datetime, at: time, tz: ZoneInfo) -> date:
    # A gap before midnight moves a slot into the next day (America/Nuuk in March), so the day
    # on the wall is not always the day it was for.
    day = slot.astimezone(tz).date()
    eve = day - timedelta(days=1)
    moved = instant_of(day, at, tz) != slot and instant_of(eve, at, tz) == slot
    return eve if moved else day


def has_retry_left(attempt: int) -> bool:
    """Whether the slot is tried again after failed attempt number `attempt`, from 1."""
    return attempt <= MAX_RETRIES


def retry_delay(attempt: int, random: Random) -> timedelta:
    """How long to wait after failed attempt number `attempt`, from 1.

    1, 2, 4 ... minutes, at most an hour; of that between half and all, so that users who
    failed together do not all come back together.

    Raises:
        ValueError: `attempt` is below 1.
    """
    if attempt < 1:
        raise ValueError(f"there is no attempt {attempt}: they are numbered from 1")
    doubled = _FIRST_RETRY_SECONDS * 2 ** min(attempt - 1, _LAST_DOUBLING)
    return timedelta(seconds=min(doubled, _LONGEST_RETRY_SECONDS) * random.uniform(0.5, 1))


def spread_offset(user_id: int, spread_seconds: int) -> timedelta:
    """How long after its slot a user's run starts: always the same, below `spread_seconds`.

    Raises:
        ValueError: `spread_seconds` is not within 0 and 86,400.
    """
    if not 0 <= spread_seconds <= MAX_SPREAD_SECONDS:
        raise ValueError(
            f"spread_seconds is {spread_seconds}: use 0 (no spread) to {MAX_SPREAD_SECONDS}"
        )
    # Not hash(): a later version of Python may count it differently, and runs would move.
    digest = hashlib.sha256(str(user_id).encode("ascii")).digest()
    return timedelta(seconds=int.from_bytes(digest) % max(spread_seconds, 1))


def is_too_far_ahead(
    frequency: str,
    next_backup_at: datetime,
    now: datetime,
    *,
    spread_seconds: int = 0,
    calendar_months: bool = False,
) -> bool:
    """Whether a due time is further ahead than its frequency allows, as after a clock's jump.

    Raises:
        ValueError: an unknown frequency, or a naive datetime.
    """
    steps = _steps(frequency, calendar_months=calendar_months)
    days = _LONGEST_MONTH_DAYS if steps.calendar_months else steps.days
    allowed = timedelta(days=days, seconds=spread_seconds) + _ZONE_SLACK
    return as_utc(next_backup_at, "next_backup_at") - as_utc(now, "now") > allowed


def preview(
    frequency: str,
    backup_time: str,
    now: datetime,
    timezone: str = "UTC",
    *,
    count: int = 10,
    calendar_months: bool = False,
    spread_offset: timedelta = timedelta(0),
) -> list[datetime]:
    """The next `count` runs, in UTC, if each runs on time: its slot plus `spread_offset`.

    Raises:
        ValueError: as `next_slot`.
    """
    runs = []
    slot = now
    for _ in range(count):
        slot = next_slot(frequency, backup_time, slot, timezone, calendar_months=calendar_months)
        runs.append(slot + spread_offset)
    return runs
