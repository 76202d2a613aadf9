"""When a backup is due: pure rules over slots.

A slot is the nominal time of a scheduled backup: `backup_time` on a day in the user's time
zone. After a change of settings the next one is counted from now: today at backup_time if that
is still ahead, else 1, 7 or 30 days from today. After a run it is counted from the slot that the
run was for, so that a late run changes no weekday. Worked example, in UTC:

    weekly at 03:00, set on Monday 02:59                  -> today 03:00
    weekly at 03:00, set on Monday 03:00                  -> next Monday 03:00
    weekly at 18:00, Monday's run made up on Tuesday 9:00 -> next Monday 18:00
"""

import hashlib
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from commands.schedules.local_time import as_utc, instant_of, parse_backup_time, zone
from ledger.vocabulary import MAX_RETRIES

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
    anchor_day: int | None

    def later(self, day: date, count: int) -> date:
        """The day that is `count` steps later; in a short month, the month's last.

        Each month is cut anew: 31 January, 28 February, 31 March.
        """
        if not self.calendar_months:
            return day + timedelta(days=self.days * count)
        years, month = divmod(day.month - 1 + count, 12)
        year, month = day.year + years, month + 1
        wanted = self.anchor_day or day.day
        return date(year, month, min(wanted, monthrange(year, month)[1]))

    def at_most_between(self, day: date, later_day: date) -> int:
        """How many steps may lie between two days: never too few."""
        if not self.calendar_months:
            return (later_day - day).days // self.days
        return (later_day.year - day.year) * 12 + later_day.month - day.month


def _steps(frequency: str, *, calendar_months: bool, anchor_day: int | None = None) -> _Steps:
    if frequency not in _STEP_DAYS:
        raise ValueError(f"there is no frequency {frequency!r}: use one of {', '.join(_STEP_DAYS)}")
    is_by_month = calendar_months and frequency == "monthly"
    return _Steps(_STEP_DAYS[frequency], is_by_month, anchor_day)


def next_slot(
    frequency: str,
    backup_time: str,
    now: datetime,
    timezone: str = "UTC",
    *,
    calendar_months: bool = False,
    anchor_day: int | None = None,
) -> datetime:
    """The slot that comes next, counted from now, in UTC: always after `now`.

    With `calendar_months`, monthly means the same day of the next month (or its last day)
    instead of 30 days. `anchor_day`: that day, where it is not today's.

    Raises:
        ValueError: an unknown frequency or time zone, no time of day, or a naive `now`.
    """
    steps = _steps(frequency, calendar_months=calendar_months, anchor_day=anchor_day)
    tz, at = zone(timezone), parse_backup_time(backup_time)
    present = as_utc(now, "now")
    day = steps.later(present.astimezone(tz).date(), 0)
    # A second turn is rare: where clocks go back over midnight, today's date is shown again
    # after tomorrow's 00:00 has already passed.
    while (slot := instant_of(day, at, tz)) <= present:
        day = steps.later(day, 1)
    return slot


def following_slot(
    frequency: str,
    backup_time: str,
    slot: datetime,
    now: datetime,
    timezone: str = "UTC",
    *,
    calendar_months: bool = False,
    anchor_day: int | None = None,
) -> datetime:
    """The slot after the one that a run was for: the first of 1, 2, 3 ... steps that is ahead.

    Raises:
        ValueError: as `next_slot`.
    """
    steps = _steps(frequency, calendar_months=calendar_months, anchor_day=anchor_day)
    tz, at = zone(timezone), parse_backup_time(backup_time)
    was = as_utc(slot, "slot")
    present = max(was, as_utc(now, "now"))
    first_day = _nominal_day(was, at, tz)
    # One less than the days between say: where clocks go back over midnight they say too much.
    number = max(steps.at_most_between(first_day, present.astimezone(tz).date()) - 1, 1)
    while (ahead := instant_of(steps.later(first_day, number), at, tz)) <= present:
        number += 1
    return ahead


def catch_up(
    frequency: str,
    backup_time: str,
    slot: datetime,
    now: datetime,
    timezone: str = "UTC",
    *,
    calendar_months: bool = False,
    anchor_day: int | None = None,
    not_before: datetime | None = None,
) -> CatchUp:
    """Which slot a late run carries, and which earlier ones it stands for.

    Slots are counted from the stored one, one for each nominal day. Those before `not_before`
    were not missed: a clock that jumped forward passed over them.

    Raises:
        ValueError: as `next_slot`, or the stored slot is still ahead.
    """
    steps = _steps(frequency, calendar_months=calendar_months, anchor_day=anchor_day)
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
    first = 0
    if not_before is not None:
        first = latest
        while first and numbered(first - 1) >= not_before:
            first -= 1
    if first == latest:
        return CatchUp(numbered(latest), None, None, 0)
    return CatchUp(numbered(latest), numbered(first), numbered(latest - 1), latest - first)


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
