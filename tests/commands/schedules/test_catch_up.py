"""Which slot a late run carries, and which earlier ones it stands for."""

from dataclasses import FrozenInstanceError
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from commands.schedules.local_time import instant_of
from commands.schedules.rules import (
    CatchUp,
    catch_up,
)
from tests.commands.schedules.test_rules import backup_times, frequencies, utc, zones

CATCH_UPS = """
daily   03:00 UTC              2025-01-13T03:00 2025-01-13T03:00 2025-01-13T03:00 -                0
daily   03:00 UTC              2025-01-13T03:00 2025-01-14T02:59 2025-01-13T03:00 -                0
daily   03:00 UTC              2025-01-13T03:00 2025-01-14T03:00 2025-01-14T03:00 2025-01-13T03:00 1
daily   03:00 UTC              2025-01-13T03:00 2025-01-17T12:00 2025-01-17T03:00 2025-01-16T03:00 4
weekly  03:00 UTC              2025-01-01T03:00 2025-01-28T12:00 2025-01-22T03:00 2025-01-15T03:00 3
daily   23:30 America/Nuuk     2025-03-30T01:00 2025-03-31T00:29 2025-03-30T01:00 -                0
daily   23:30 America/Nuuk     2025-03-30T01:00 2025-03-31T00:30 2025-03-31T00:30 2025-03-30T01:00 1
weekly  23:30 America/Nuuk     2025-03-30T01:00 2025-04-06T12:00 2025-04-06T00:30 2025-03-30T01:00 1
daily   00:00 Pacific/Apia     2011-12-29T10:00 2011-12-30T12:00 2011-12-30T10:00 2011-12-29T10:00 1
daily   00:00 Pacific/Apia     2011-12-30T10:00 2011-12-31T09:59 2011-12-30T10:00 -                0
daily   00:00 Pacific/Apia     2011-12-30T10:00 2011-12-31T12:00 2011-12-31T10:00 2011-12-30T10:00 1
daily   00:00 America/St_Johns 2010-11-06T02:30 2010-11-07T02:45 2010-11-07T02:30 2010-11-06T02:30 1
monthly 03:00 UTC              2025-01-31T03:00 2025-04-15T12:00 2025-04-01T03:00 2025-03-02T03:00 2
months  03:00 UTC              2025-01-31T03:00 2025-03-01T12:00 2025-02-28T03:00 2025-01-31T03:00 1
months  03:00 UTC              2025-01-31T03:00 2025-03-31T12:00 2025-03-31T03:00 2025-02-28T03:00 2
months  03:00 UTC              2023-12-31T03:00 2024-03-30T12:00 2024-02-29T03:00 2024-01-31T03:00 2
daily   09:00 UTC              2025-01-13T08:00 2025-01-13T12:00 2025-01-13T08:00 -                0
daily   09:00 UTC              2025-01-13T10:00 2025-01-14T12:00 2025-01-14T09:00 2025-01-13T10:00 1
"""
# frequency, time, zone, stored slot, now, latest slot, last missed, missed. In the last two rows
# the slot is an hour off, as after new rules for its zone: counted by days all the same.


@pytest.mark.parametrize("row", CATCH_UPS.strip().splitlines())
def test_a_catch_up_is_the_one_in_the_table(row: str) -> None:
    """It carries the latest slot; the missed ones begin with the stored slot."""
    frequency, at, zone, slot, now, latest, last, missed = row.split()
    calendar_months = frequency == "months"
    frequency = "monthly" if calendar_months else frequency
    found = catch_up(frequency, at, utc(slot), utc(now), zone, calendar_months=calendar_months)
    first_missed, last_missed = (None, None) if last == "-" else (utc(slot), utc(last))
    assert found == CatchUp(utc(latest), first_missed, last_missed, int(missed))


def walked(frequency: str, at: str, day: date, now: datetime, zone: str) -> list[datetime]:
    """Every slot from this day's that has come, one by one."""
    step = timedelta(days={"daily": 1, "weekly": 7, "monthly": 30}[frequency])
    slots: list[datetime] = []
    while (slot := instant_of(day, time.fromisoformat(at), ZoneInfo(zone))) <= now:
        slots.append(slot)
        day += step
    return slots


@pytest.mark.slow
@settings(deadline=None)
@given(
    frequencies,
    backup_times,
    st.dates(date(1996, 1, 1), date(2044, 1, 1)),
    st.timedeltas(timedelta(0), timedelta(days=400)),
    zones,
)
def test_a_catch_up_is_what_walking_from_slot_to_slot_finds(
    frequency: str, at: str, day: date, later: timedelta, zone: str
) -> None:
    """Arithmetic and patience agree on the latest, the earlier ones, and their number."""
    slot = instant_of(day, time.fromisoformat(at), ZoneInfo(zone))
    # There two nominal days are one instant; the table has that case.
    assume(slot != instant_of(day + timedelta(days=1), time.fromisoformat(at), ZoneInfo(zone)))
    slots = walked(frequency, at, day, slot + later, zone)
    assume(len(set(slots)) == len(slots))
    missed = slots[:-1]
    assert catch_up(frequency, at, slot, slot + later, zone) == CatchUp(
        slots[-1], missed[0] if missed else None, missed[-1] if missed else None, len(missed)
    )


@settings(deadline=None)
@given(backup_times, st.integers(1, 31), st.integers(0, 240), zones)
def test_calendar_months_keep_the_day_of_the_stored_slot(
    at: str, day: int, months: int, zone: str
) -> None:
    """After any number of months the day is the stored one, or the last of a shorter month."""
    clock, tz = time.fromisoformat(at), ZoneInfo(zone)
    slot = instant_of(date(2015, 1, day), clock, tz)
    first_of_following = date(2015 + (months + 1) // 12, (months + 1) % 12 + 1, 1)
    last = first_of_following - timedelta(days=1)
    due = instant_of(last.replace(day=min(day, last.day)), clock, tz)
    found = catch_up("monthly", at, slot, due, zone, calendar_months=True)
    assert (found.slot, found.missed) == (due, months)
    assert found.first_missed == (slot if months else None)


def test_decades_of_missed_slots_are_counted() -> None:
    """From 1900 to 2100, day by day, in Berlin."""
    found = catch_up(
        "daily", "03:00", utc("1900-01-01T02:00"), utc("2100-01-01T12:00"), "Europe/Berlin"
    )
    assert found.missed == (date(2100, 1, 1) - date(1900, 1, 1)).days
    assert found.slot == utc("2100-01-01T02:00")


def test_a_slot_that_is_still_ahead_is_nothing_to_catch_up() -> None:
    """It would mean that a run is too early."""
    with pytest.raises(ValueError, match="still ahead"):
        catch_up("daily", "03:00", utc("2025-01-13T03:00"), utc("2025-01-13T02:59"))


def test_a_catch_up_cannot_be_changed() -> None:
    """It is a decision that events are made of."""
    found = catch_up("daily", "03:00", utc("2025-01-13T03:00"), utc("2025-01-13T03:00"))
    with pytest.raises(FrozenInstanceError):
        found.missed = 7  # type: ignore[misc]


def test_slots_that_a_jump_passed_over_are_not_missed() -> None:
    """Those before the limit are not counted; the slot itself is the latest all the same."""
    stored, now = utc("1970-01-02T03:00"), utc("2025-01-13T03:00")
    found = catch_up("daily", "03:00", stored, now, not_before=utc("2025-01-10T12:00"))
    assert found == CatchUp(now, utc("2025-01-11T03:00"), utc("2025-01-12T03:00"), 2)
    none = catch_up("daily", "03:00", stored, now, not_before=now)
    assert none == CatchUp(now, None, None, 0)
