"""When backups are due: golden tables, and what holds for every zone, time and frequency."""

from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from commands.schedules.rules import (
    catch_up,
    following_slot,
    has_retry_left,
    is_too_far_ahead,
    next_slot,
    retry_delay,
    spread_offset,
)
from ledger.vocabulary import MAX_RETRIES

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "America/Nuuk",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
)
zones = st.sampled_from(ZONES)
frequencies = st.sampled_from(["daily", "weekly", "monthly"])
backup_times = st.builds(time, st.integers(0, 23), st.integers(0, 59)).map(
    lambda at: at.strftime("%H:%M")
)
moments = st.datetimes(datetime(1995, 1, 1), datetime(2045, 1, 1), timezones=st.just(UTC))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NEXT_SLOTS = """
daily    03:00 UTC                 2025-01-13T02:59:59 2025-01-13T03:00
daily    03:00 UTC                 2025-01-13T03:00:00 2025-01-14T03:00
daily    03:00 UTC                 2025-01-13T03:00:05 2025-01-14T03:00
weekly   03:00 UTC                 2025-01-13T02:00:00 2025-01-13T03:00
weekly   03:00 UTC                 2025-01-13T03:00:00 2025-01-20T03:00
monthly  03:00 UTC                 2025-01-13T02:00:00 2025-01-13T03:00
monthly  03:00 UTC                 2025-01-13T03:00:00 2025-02-12T03:00
months   03:00 UTC                 2025-01-13T03:00:00 2025-02-13T03:00
months   03:00 UTC                 2025-12-31T03:00:00 2026-01-31T03:00
months   03:00 UTC                 2025-01-31T03:00:00 2025-02-28T03:00
months   03:00 UTC                 2024-01-31T03:00:00 2024-02-29T03:00
daily    03:00 UTC                 2024-02-28T03:00:00 2024-02-29T03:00
daily    03:00 UTC                 2025-02-28T03:00:00 2025-03-01T03:00
monthly  03:00 UTC                 2024-01-30T03:00:00 2024-02-29T03:00
daily    00:00 UTC                 2025-12-31T12:00:00 2026-01-01T00:00
daily    03:00 Europe/Berlin       2025-01-12T23:30:00 2025-01-13T02:00
weekly   00:15 Europe/Berlin       2025-01-12T23:30:00 2025-01-19T23:15
daily    04:00 Europe/Berlin       2025-03-29T12:00:00 2025-03-30T02:00
weekly   04:00 Europe/Berlin       2025-03-24T03:00:00 2025-03-31T02:00
daily    02:30 Europe/Berlin       2025-03-29T12:00:00 2025-03-30T01:00
daily    02:30 Europe/Berlin       2025-03-30T01:00:00 2025-03-31T00:30
daily    02:30 Europe/Berlin       2025-10-25T12:00:00 2025-10-26T00:30
daily    02:30 Europe/Berlin       2025-10-26T00:30:00 2025-10-27T01:30
daily    02:30 America/New_York    2025-03-09T01:00:00 2025-03-09T07:00
daily    01:30 America/New_York    2025-11-02T05:30:00 2025-11-03T06:30
daily    02:15 Australia/Lord_Howe 2025-10-04T12:00:00 2025-10-04T15:30
daily    01:45 Australia/Lord_Howe 2025-04-05T14:45:00 2025-04-06T15:15
daily    00:00 America/Santiago    2025-09-06T12:00:00 2025-09-07T04:00
daily    00:00 America/Santiago    2025-09-07T04:00:00 2025-09-08T03:00
daily    23:30 America/Santiago    2025-04-06T02:30:00 2025-04-07T03:30
daily    03:00 Pacific/Apia        2011-12-29T13:00:00 2011-12-30T10:00
daily    00:00 Pacific/Apia        2011-12-30T10:00:00 2011-12-31T10:00
daily    00:00 America/St_Johns    2010-11-07T02:45:00 2010-11-08T03:30
"""
# frequency (months: monthly by the calendar), time, zone, now, next slot. Today is the user's day
# (Berlin's at 23:30 UTC); the time on the wall stays over a change of the clocks, except where it
# is skipped.


@pytest.mark.parametrize("row", NEXT_SLOTS.strip().splitlines())
def test_the_next_slot_is_the_one_in_the_table(row: str) -> None:
    """The seed's rule, the user's day, leap days, and days on which clocks change."""
    frequency, at, zone, now, expected = row.split()
    calendar_months = frequency == "months"
    frequency = "monthly" if calendar_months else frequency
    found = next_slot(frequency, at, utc(now), zone, calendar_months=calendar_months)
    assert found == utc(expected)
    assert found.tzinfo is UTC


@pytest.mark.parametrize("frequency", ["daily", "weekly"])
def test_calendar_months_mean_nothing_to_other_frequencies(frequency: str) -> None:
    """The option may be set for everybody."""
    now = utc("2025-01-13T03:00")
    with_option = next_slot(frequency, "03:00", now, calendar_months=True)
    assert with_option == next_slot(frequency, "03:00", now)


@settings(deadline=None)
@given(frequencies, backup_times, moments, zones, st.booleans())
@example("daily", "00:00", utc("2010-11-07T02:45"), "America/St_Johns", False)
@example("daily", "02:30", utc("2025-03-30T00:59"), "Europe/Berlin", False)
def test_the_next_slot_is_ahead_and_shows_the_backup_time_unless_it_is_skipped(
    frequency: str, at: str, now: datetime, zone: str, calendar_months: bool
) -> None:
    """On the wall it is backup_time; where it is not, the clocks have just jumped over it."""
    slot = next_slot(frequency, at, now, zone, calendar_months=calendar_months)
    assert slot > now
    wall = slot.astimezone(ZoneInfo(zone))
    if wall.strftime("%H:%M") != at:
        eve = (slot - timedelta(seconds=1)).astimezone(ZoneInfo(zone))
        gap_start, gap_end = eve.replace(tzinfo=None), wall.replace(tzinfo=None)
        skipped = [datetime.combine(d, time.fromisoformat(at)) for d in (eve.date(), wall.date())]
        assert any(gap_start < skipped_time < gap_end for skipped_time in skipped) or (
            gap_end - gap_start > timedelta(hours=23)
        )


@settings(deadline=None)
@given(frequencies, backup_times, moments, zones, st.booleans())
def test_the_next_slot_is_never_too_far_ahead(
    frequency: str, at: str, now: datetime, zone: str, calendar_months: bool
) -> None:
    """The check for jumped clocks has no false alarm on our own slots."""
    slot = next_slot(frequency, at, now, zone, calendar_months=calendar_months)
    assert not is_too_far_ahead(frequency, slot, now, calendar_months=calendar_months)


def test_the_zone_of_now_does_not_matter() -> None:
    """The same instant told in another zone gives the same slot."""
    now = utc("2025-01-12T23:30")
    elsewhere = now.astimezone(ZoneInfo("Asia/Kathmandu"))
    assert next_slot("daily", "03:00", now) == next_slot("daily", "03:00", elsewhere)


def test_a_frequency_may_be_an_enumeration() -> None:
    """A StrEnum is a str; callers of the facade have one."""

    class Frequency(StrEnum):
        WEEKLY = "weekly"

    assert next_slot(Frequency.WEEKLY, "03:00", utc("2025-01-13T03:00")) == utc("2025-01-20T03:00")


@pytest.mark.parametrize("frequency", ["", "hourly", "Daily", "daily ", "yearly"])
def test_an_unknown_frequency_is_refused_everywhere(frequency: str) -> None:
    """With the list of those there are."""
    now = utc("2025-01-13T03:00")
    with pytest.raises(ValueError, match="daily, weekly, monthly"):
        next_slot(frequency, "03:00", now)
    with pytest.raises(ValueError, match="daily, weekly, monthly"):
        catch_up(frequency, "03:00", now, now)
    with pytest.raises(ValueError, match="daily, weekly, monthly"):
        is_too_far_ahead(frequency, now, now)


def test_a_naive_datetime_is_refused_everywhere() -> None:
    """Nobody knows which instant it means."""
    naive, aware = datetime(2025, 1, 13, 3), utc("2025-01-13T03:00")
    with pytest.raises(ValueError, match="now is"):
        next_slot("daily", "03:00", naive)
    with pytest.raises(ValueError, match="now is"):
        catch_up("daily", "03:00", aware, naive)
    with pytest.raises(ValueError, match="slot is"):
        catch_up("daily", "03:00", naive, aware)
    with pytest.raises(ValueError, match="now is"):
        is_too_far_ahead("daily", aware, naive)
    with pytest.raises(ValueError, match="slot is"):
        following_slot("daily", "03:00", naive, aware)
    with pytest.raises(ValueError, match="now is"):
        following_slot("daily", "03:00", aware, naive)


@pytest.mark.parametrize(
    ("attempt", "longest_minutes"),
    [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60), (10**9, 60)],
)
def test_a_retry_waits_between_half_and_all_of_its_step(attempt: int, longest_minutes: int) -> None:
    """Steps double up to an hour, and the waits fill most of the range: there is jitter."""
    longest = timedelta(minutes=longest_minutes)
    delays = [retry_delay(attempt, Random(seed)) for seed in range(200)]
    assert longest / 2 <= min(delays) < longest * 0.55
    assert longest * 0.95 < max(delays) <= longest


def test_the_same_randomness_gives_the_same_wait() -> None:
    """A replay of the scheduler is exact."""
    assert retry_delay(3, Random(7)) == retry_delay(3, Random(7))


@pytest.mark.parametrize("attempt", [0, -1])
def test_there_is_no_attempt_zero(attempt: int) -> None:
    """They are numbered from 1."""
    with pytest.raises(ValueError, match="numbered from 1"):
        retry_delay(attempt, Random(0))


def test_a_slot_is_retried_five_times() -> None:
    """Attempts 1 to 6, then it waits for the next slot."""
    assert MAX_RETRIES == 5
    assert [has_retry_left(attempt) for attempt in range(1, 8)] == [True] * 5 + [False] * 2


def test_the_spread_of_a_user_never_changes() -> None:
    """Golden values: another hash would move everybody's runs."""
    found = [spread_offset(user_id, 3600).total_seconds() for user_id in (1, 2, 3, 2**63 - 1)]
    assert found == [1515.0, 2661.0, 878.0, 3593.0]


@given(st.integers(1, 2**63 - 1), st.integers(1, 86_400))
def test_the_spread_is_within_its_limit(user_id: int, spread_seconds: int) -> None:
    """From nothing to just below; in whole seconds."""
    offset = spread_offset(user_id, spread_seconds)
    assert timedelta(0) <= offset < timedelta(seconds=spread_seconds)
    assert offset % timedelta(seconds=1) == timedelta(0)


def test_without_a_spread_nobody_is_put_off() -> None:
    """The default."""
    assert {spread_offset(user_id, 0) for user_id in range(1, 100)} == {timedelta(0)}


def test_users_are_spread_over_the_whole_range() -> None:
    """A thousand users leave no tenth of an hour empty, nor crowd into one."""
    tenths = [spread_offset(user_id, 3600) // timedelta(minutes=6) for user_id in range(1, 1001)]
    assert set(tenths) == set(range(10))
    assert max(tenths.count(tenth) for tenth in range(10)) < 150


@pytest.mark.parametrize("spread_seconds", [-1, 86_401])
def test_a_spread_beyond_a_day_is_refused(spread_seconds: int) -> None:
    """It would run into the next slot."""
    with pytest.raises(ValueError, match="spread_seconds"):
        spread_offset(1, spread_seconds)


@pytest.mark.parametrize(
    ("frequency", "calendar_months", "days"),
    [("daily", False, 2), ("weekly", False, 8), ("monthly", False, 31), ("monthly", True, 32)],
)
def test_a_due_time_is_too_far_ahead_after_its_frequency_and_a_day(
    frequency: str, calendar_months: bool, days: int
) -> None:
    """Exactly at the limit it is not, a second later it is; a spread moves the limit."""
    now = utc("2025-01-13T03:00")
    limit, second = now + timedelta(days=days), timedelta(seconds=1)

    def too_far(due: datetime, spread_seconds: int = 0) -> bool:
        return is_too_far_ahead(
            frequency,
            due,
            now,
            spread_seconds=spread_seconds,
            calendar_months=calendar_months,
        )

    assert not too_far(now - timedelta(days=999))
    assert not too_far(limit)
    assert too_far(limit + second)
    assert not too_far(limit + second, spread_seconds=1)
    assert too_far(limit + 2 * second, spread_seconds=1)


FOLLOWING = """
daily   03:00 UTC           2025-01-13T03:00 2025-01-13T03:00 2025-01-14T03:00
daily   03:00 UTC           2025-01-13T03:00 2025-01-16T09:00 2025-01-17T03:00
weekly  18:00 UTC           2025-01-13T18:00 2025-01-14T09:00 2025-01-20T18:00
weekly  18:00 UTC           2025-01-13T18:00 2025-01-20T18:00 2025-01-27T18:00
weekly  18:00 UTC           2025-01-13T18:00 2025-02-05T09:00 2025-02-10T18:00
weekly  18:00 UTC           2025-01-13T18:00 2025-01-12T09:00 2025-01-20T18:00
monthly 03:00 UTC           2025-01-13T03:00 2025-02-01T09:00 2025-02-12T03:00
months  03:00 UTC           2025-01-31T03:00 2025-02-03T09:00 2025-02-28T03:00
months  03:00 UTC           2025-02-28T03:00 2025-03-01T09:00 2025-03-31T03:00
months  03:00 UTC           2025-03-31T03:00 2025-06-05T09:00 2025-06-30T03:00
weekly  23:30 America/Nuuk  2025-03-23T01:30 2025-03-24T09:00 2025-03-30T01:00
weekly  02:30 Europe/Berlin 2025-03-23T01:30 2025-03-24T09:00 2025-03-30T01:00
daily   00:00 Pacific/Apia  2011-12-30T10:00 2011-12-30T10:00 2011-12-31T10:00
"""


@pytest.mark.parametrize("row", FOLLOWING.strip().splitlines())
def test_after_a_run_the_next_slot_is_counted_from_its_own(row: str) -> None:
    """A late run changes no weekday; months keep the 31st through February."""
    frequency, at, zone, slot, now, expected = row.split()
    is_by_month = frequency == "months"
    found = following_slot(
        "monthly" if is_by_month else frequency,
        at,
        utc(slot),
        utc(now),
        zone,
        calendar_months=is_by_month,
        anchor_day=31 if is_by_month else None,
    )
    assert found == utc(expected)


@settings(deadline=None)
@given(frequencies, backup_times, moments, zones, st.booleans(), st.integers(0, 9_000))
def test_for_runs_on_time_both_rules_agree(
    frequency: str, at: str, now: datetime, zone: str, by_month: bool, late_minutes: int
) -> None:
    """Counted from the slot, or from the moment of the slot: the same; late ones keep the grid."""
    slot = next_slot(frequency, at, now, zone, calendar_months=by_month)
    following = following_slot(frequency, at, slot, slot, zone, calendar_months=by_month)
    assert following == next_slot(frequency, at, slot, zone, calendar_months=by_month)
    late = slot + timedelta(minutes=late_minutes)
    found = following_slot(frequency, at, slot, late, zone, calendar_months=by_month)
    assert found > late
    caught = catch_up(frequency, at, slot, late, zone, calendar_months=by_month)
    assert found == following_slot(frequency, at, caught.slot, late, zone, calendar_months=by_month)
