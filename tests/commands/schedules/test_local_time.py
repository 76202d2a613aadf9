"""From wall-clock time to instants, against the clocks of odd places."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from commands.schedules.local_time import (
    UnknownTimeZone,
    as_utc,
    instant_of,
    nominal_slot,
    parse_backup_time,
    zone,
)

ODD_ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",  # winter time is the exception there
    "America/New_York",
    "America/Santiago",  # midnight is skipped
    "America/Nuuk",  # the hour before midnight is skipped
    "America/St_Johns",  # went back at 00:01, so a date came twice
    "Australia/Lord_Howe",  # half an hour
    "Pacific/Apia",  # a day skipped
    "Pacific/Kiritimati",
    "Asia/Kathmandu",
    "Africa/Casablanca",
)


@cache
def days_of_change() -> list[tuple[str, date]]:
    """The days of fifty years in which clocks are set otherwise, each with its zone."""
    midnights = [datetime(1990, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(50 * 365)]
    found = []
    for name in ODD_ZONES:
        offsets = [midnight.astimezone(ZoneInfo(name)).utcoffset() for midnight in midnights]
        changes = zip(midnights, pairwise(offsets), strict=False)
        found += [(name, day.date()) for day, (before, after) in changes if before != after]
    return found


any_day = st.dates(date(1990, 1, 1), date(2045, 12, 31))
any_time = st.builds(time, st.integers(0, 23), st.integers(0, 59))
zone_and_day = st.one_of(
    st.tuples(st.sampled_from(ODD_ZONES), any_day),
    st.tuples(
        st.deferred(lambda: st.sampled_from(days_of_change())),
        st.integers(-1, 1).map(lambda n: timedelta(days=n)),
    ).map(lambda pair: (pair[0][0], pair[0][1] + pair[1])),
)

INSTANTS = [
    # zone, day, time, instant in UTC
    ("UTC", "2025-01-13", "03:00", "2025-01-13T03:00"),
    ("Europe/Berlin", "2025-01-13", "03:00", "2025-01-13T02:00"),
    ("Europe/Berlin", "2025-03-30", "01:59", "2025-03-30T00:59"),
    ("Europe/Berlin", "2025-03-30", "02:00", "2025-03-30T01:00"),
    ("Europe/Berlin", "2025-03-30", "02:30", "2025-03-30T01:00"),
    ("Europe/Berlin", "2025-03-30", "03:00", "2025-03-30T01:00"),
    ("Europe/Berlin", "2025-10-26", "01:59", "2025-10-25T23:59"),
    ("Europe/Berlin", "2025-10-26", "02:00", "2025-10-26T00:00"),
    ("Europe/Berlin", "2025-10-26", "02:30", "2025-10-26T00:30"),
    ("Europe/Berlin", "2025-10-26", "03:00", "2025-10-26T02:00"),
    ("America/New_York", "2025-03-09", "02:30", "2025-03-09T07:00"),
    ("America/New_York", "2025-11-02", "01:30", "2025-11-02T05:30"),
    ("Australia/Lord_Howe", "2025-10-05", "02:15", "2025-10-04T15:30"),
    ("Australia/Lord_Howe", "2025-10-05", "02:30", "2025-10-04T15:30"),
    ("Australia/Lord_Howe", "2025-04-06", "01:45", "2025-04-05T14:45"),
    ("Australia/Lord_Howe", "2025-04-06", "02:00", "2025-04-05T15:30"),
    ("America/Santiago", "2025-09-07", "00:00", "2025-09-07T04:00"),
    ("America/Santiago", "2025-09-07", "00:30", "2025-09-07T04:00"),
    ("America/Santiago", "2025-09-07", "01:00", "2025-09-07T04:00"),
    ("America/Santiago", "2025-04-05", "23:30", "2025-04-06T02:30"),
    ("America/Nuuk", "2025-03-29", "23:30", "2025-03-30T01:00"),
    ("Pacific/Apia", "2011-12-29", "03:00", "2011-12-29T13:00"),
    ("Pacific/Apia", "2011-12-30", "00:00", "2011-12-30T10:00"),
    ("Pacific/Apia", "2011-12-30", "23:59", "2011-12-30T10:00"),
    ("Pacific/Apia", "2011-12-31", "03:00", "2011-12-30T13:00"),
    ("America/St_Johns", "2010-11-07", "00:00", "2010-11-07T02:30"),
    ("Europe/Berlin", "2060-03-28", "02:30", "2060-03-28T01:00"),
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("name", "day", "at", "instant"), INSTANTS)
def test_a_local_time_is_the_instant_that_the_table_says(
    name: str, day: str, at: str, instant: str
) -> None:
    """Ordinary, skipped and doubled times of known places."""
    found = instant_of(date.fromisoformat(day), time.fromisoformat(at), ZoneInfo(name))
    assert found == utc(instant)
    assert found.tzinfo is UTC


@pytest.mark.slow
@settings(deadline=None)
@given(zone_and_day, any_time)
def test_the_instant_is_the_first_at_which_the_clocks_show_that_time_or_later(
    place: tuple[str, date], at: time
) -> None:
    """Walking minute by minute from long before finds the same instant."""
    tz = ZoneInfo(place[0])
    wall = datetime.combine(place[1], at)
    minute = datetime.combine(place[1], at, UTC) - timedelta(hours=15)
    while minute.astimezone(tz).replace(tzinfo=None) < wall:
        minute += timedelta(minutes=1)
    assert instant_of(place[1], at, tz) == minute


@settings(deadline=None)
@given(zone_and_day, any_time)
def test_a_later_day_never_comes_earlier(place: tuple[str, date], at: time) -> None:
    """Slots of consecutive days are in order, whatever the clocks do."""
    tz = ZoneInfo(place[0])
    assert instant_of(place[1], at, tz) <= instant_of(place[1] + timedelta(days=1), at, tz)


def test_the_fold_of_the_given_time_does_not_matter() -> None:
    """A doubled time is the first even if someone asks with fold=1."""
    found = instant_of(date(2025, 10, 26), time(2, 30, fold=1), ZoneInfo("Europe/Berlin"))
    assert found == utc("2025-10-26T00:30")


def test_every_iana_name_is_a_zone() -> None:
    """The whole list of the database is accepted, under its own names."""
    names = set((files("tzdata") / "zones").read_text().split()) - {"Factory"}
    assert len(names) > 500
    assert {zone(name).key for name in names} == names


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "Europe",
        "Europe/",
        "europe/berlin",
        "Europe/Berlin ",
        "Europe/Berlin\n",
        "Europe/Berlin\x00",
        "\x00",
        "../x",
        "../zoneinfo/UTC",
        "Europe/../UTC",
        "/usr/share/zoneinfo/UTC",
        "localtime",
        "posixrules",
        "posix/Europe/Berlin",
        "right/UTC",
        "Factory",
        "zone.tab",
        "zones",
        "Atlantis/City",
        "CEST",
        "UTC+1",
        "\udc80",
        "a" * 100_000,
    ],
)
def test_a_text_that_is_no_iana_name_is_refused(name: str) -> None:
    """Folders, paths, files that are not a zone, and rubbish all get the same short answer."""
    with pytest.raises(UnknownTimeZone, match="use an IANA name") as refused:
        zone(name)
    assert len(str(refused.value)) < 400
    assert str(refused.value).isprintable()


@pytest.mark.slow
@settings(deadline=None)
@given(st.text(st.characters()))
def test_no_other_text_makes_a_zone(name: str) -> None:
    """Whatever is typed, it fails in one way, which is a ValueError."""
    assume(name not in available_timezones())
    with pytest.raises(ValueError, match="there is no time zone"):
        zone(name)


def test_every_minute_of_the_day_can_be_a_backup_time() -> None:
    """Written with two digits each, all 1,440 are read as what they are."""
    for minute in range(1440):
        hours, minutes = divmod(minute, 60)
        assert parse_backup_time(f"{hours:02}:{minutes:02}") == time(hours, minutes)


@pytest.mark.parametrize(
    "text",
    [
        *("24:00", "23:60", "3:00", "03:0", "0300", "03.00", "03:00:00", "-3:00", "+3:00", "0x:00"),
        *("03:00 ", " 03:00", "03:00\n", "", "0\udc80:00", "1" * 9999),
        "\u0660\u0663:00",  # Arabic digits
        "\uff10\uff13:00",  # full-width digits
        "03\uff1a00",  # full-width colon
    ],
)
def test_a_text_that_is_no_time_of_day_is_refused_with_advice(text: str) -> None:
    """Near misses and other scripts are errors, not guesses."""
    with pytest.raises(ValueError, match="write HH:MM") as refused:
        parse_backup_time(text)
    assert len(str(refused.value)) < 400


def test_a_naive_datetime_is_refused_by_name() -> None:
    """Nobody knows which instant it means."""
    with pytest.raises(ValueError, match="now is 2025-01-13T03:00:00, without a time zone"):
        as_utc(datetime(2025, 1, 13, 3), "now")
    with pytest.raises(ValueError, match="next_backup_at"):
        nominal_slot(datetime(2025, 1, 13, 3), "03:00", "UTC")


@pytest.mark.parametrize(
    ("name", "at", "next_backup_at", "slot"),
    [
        ("UTC", "03:00", "2025-01-13T03:00", "2025-01-13T03:00"),
        ("UTC", "03:00", "2025-01-13T02:59", "2025-01-12T03:00"),
        ("UTC", "23:00", "2025-01-14T22:59", "2025-01-13T23:00"),
        ("Europe/Berlin", "02:30", "2025-03-30T01:00", "2025-03-30T01:00"),
        ("Europe/Berlin", "02:30", "2025-10-26T01:30", "2025-10-26T00:30"),
        ("America/Nuuk", "23:30", "2025-03-30T01:10", "2025-03-30T01:00"),
        ("America/St_Johns", "00:00", "2010-11-07T02:45", "2010-11-07T02:30"),
        ("Pacific/Apia", "03:00", "2011-12-30T12:00", "2011-12-30T10:00"),
    ],
)
def test_the_nominal_slot_is_found_again(
    name: str, at: str, next_backup_at: str, slot: str
) -> None:
    """Known slots, with and without a delay, over midnight and over changes of the clocks."""
    assert nominal_slot(utc(next_backup_at), at, name) == utc(slot)


@pytest.mark.slow
@settings(deadline=None)
@given(zone_and_day, any_time, st.integers(0, 86_399))
@example(("Pacific/Apia", date(2011, 12, 30)), time(), 0)
@example(("America/St_Johns", date(2010, 11, 7)), time(), 60)
def test_no_other_slot_lies_between_the_nominal_slot_and_the_run(
    place: tuple[str, date], at: time, second: int
) -> None:
    """Of a week's slots, the one found is the latest that has come."""
    name, day = place
    due = datetime.combine(day, time(), UTC) + timedelta(seconds=second)
    week = [instant_of(day + timedelta(days=n), at, ZoneInfo(name)) for n in range(-4, 4)]
    assert week[0] < due < week[-1]
    assert nominal_slot(due, at.strftime("%H:%M"), name) == max(s for s in week if s <= due)
