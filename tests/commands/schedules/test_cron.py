"""Slots of cron expressions: against the library where clocks stand still, by table where not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.runs.corrections import correct_next_runs
from commands.schedules.cron import (
    CronSlots,
    caught_up,
    checked_cron,
    nearest_frequency,
    words_of,
)
from commands.schedules.rhythm import upcoming
from commands.schedules.rules import CatchUp
from ledger.events.scheduling import BackupCompleted, BackupStarted, SettingsUpdated, SlotsMissed
from tests.commands.conftest import MakeWorld
from tests.commands.world import World

BERLIN = "Europe/Berlin"
EXPRESSIONS = [
    *("0 * * * *", "*/15 * * * *", "30 2 * * *", "30 2 * * 1-5", "0 3 * * MON#1", "0 4 L * *"),
    *("0 0 1,15 * *", "5 */6 * * *", "*/10 2,3 * * SUN", "0 12 29 2 *", "59 23 31 12 *"),
]
ODD_ZONES = [BERLIN, "America/Nuuk", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]
MOMENTS = st.datetimes(datetime(2009, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def walked(slots: CronSlots, moment: datetime, count: int) -> list[datetime]:
    found = []
    for _ in range(count):
        moment = slots.after(moment)
        found.append(moment)
    return found


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.sampled_from(EXPRESSIONS), MOMENTS)
def test_in_utc_slots_are_those_of_the_library(expression: str, moment: datetime) -> None:
    """There no clock jumps, so nothing of ours is between."""
    library = CronSim(expression, moment)
    assert walked(CronSlots(expression, "UTC"), moment, 12) == [next(library) for _ in range(12)]


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.sampled_from(EXPRESSIONS), st.sampled_from(ODD_ZONES), MOMENTS)
def test_forward_backward_and_counted_agree(
    expression: str, timezone: str, moment: datetime
) -> None:
    """Every slot is found again from behind, and none is counted twice or left out."""
    slots = CronSlots(expression, timezone)
    found = walked(slots, moment, 30)
    assert found == sorted(set(found))
    assert [slots.until(slot) for slot in found] == found
    assert [slots.until(slot - timedelta(seconds=1)) for slot in found[1:]] == found[:-1]
    assert slots.count(found[0], found[-1]) == 29


@pytest.mark.parametrize(
    ("expression", "timezone", "after", "expected"),
    [
        ("30 2 * * *", BERLIN, "2025-03-29T12:00", ["30T01:00", "31T00:30"]),
        ("30 2 * * *", BERLIN, "2025-10-25T12:00", ["26T00:30", "27T01:30"]),
        ("*/20 2 * * *", BERLIN, "2025-03-29T12:00", ["30T01:00", "31T00:00"]),
        ("0 * * * *", BERLIN, "2025-03-29T23:30", ["30T00:00", "30T01:00", "30T02:00"]),
        ("0 * * * *", BERLIN, "2025-10-25T23:30", ["26T00:00", "26T01:00", "26T02:00"]),
        ("0 3 * * *", "Pacific/Apia", "2011-12-29T20:00", ["30T10:00", "30T13:00", "31T13:00"]),
        ("59 23 * * *", "America/Nuuk", "2025-03-29T12:00", ["30T01:00", "31T00:59"]),
        ("*/30 * * * *", "America/St_Johns", "2010-11-07T02:00", ["07T02:30", "07T03:00"]),
    ],
)
def test_where_clocks_jump(expression: str, timezone: str, after: str, expected: list[str]) -> None:
    """Skipped times move forward; doubled ones run at the first; no hour is left out."""
    found = walked(CronSlots(expression, timezone), utc(after), len(expected))
    assert [f"{slot:%dT%H:%M}" for slot in found] == expected


def test_slots_are_of_the_local_calendar() -> None:
    """Monday begins in Auckland while it is Sunday in UTC."""
    slot = CronSlots("0 6 * * MON", "Pacific/Auckland").after(utc("2025-01-10T00:00"))
    assert slot == utc("2025-01-12T17:00")
    assert slot.astimezone(ZoneInfo("Pacific/Auckland")).isoweekday() == 1


@pytest.mark.parametrize(
    ("expression", "frequency"),
    [
        *[("0 * * * *", "daily"), ("30 2 * * 1-5", "daily"), ("0 3 * * MON,THU", "daily")],
        *[("0 3 * * SUN", "weekly"), ("0 3 1,15 * *", "weekly"), ("0 3 */5 * *", "weekly")],
        *[("0 3 * * MON#1", "monthly"), ("0 3 L * *", "monthly"), ("0 12 29 2 *", "monthly")],
    ],
)
def test_the_nearest_frequency_is_by_the_days_between(expression: str, frequency: str) -> None:
    """An hourly backup is nearest to a daily one."""
    assert nearest_frequency(expression) == frequency


def test_an_expression_is_stored_with_single_spaces_and_read_in_words() -> None:
    """As it was written but for its spaces."""
    assert checked_cron("  30\t2 *  * mon-fri ") == "30 2 * * mon-fri"
    assert words_of("30 2 * * mon-fri") == "at 02:30 on Monday through Friday"


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "does not have five fields"),
        ("* * * *", "does not have five fields"),
        ("0 0 * * * *", "does not have five fields"),  # with seconds, as the library would take it
        ("@daily", "does not have five fields"),
        ("61 * * * *", "its minute is wrong"),
        ("0 24 * * *", "its hour is wrong"),
        ("0 0 * * \u0661L", "not a valid cron expression"),
        ("0 0 30 2 *", "its day-of-month is wrong"),
        ("0 0 L 2 31", "its day-of-week is wrong"),
        ("0 " + "0," * 60 + "0 * * *", "not a valid cron expression"),
    ],
)
def test_what_is_not_an_expression_is_refused_with_advice(expression: str, problem: str) -> None:
    """Names what is wrong, and shows one that is right."""
    with pytest.raises(ValueError, match=problem) as refused:
        checked_cron(expression)
    assert "'30 2 * * 1-5'" in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_late_run_stands_for_the_slots_before_its_own() -> None:
    """Counted, from the stored one on."""
    slots = CronSlots("0 * * * *", BERLIN)
    stored, now = utc("2025-10-25T22:00"), utc("2025-10-26T03:20")
    found = caught_up(slots, stored, now, None)
    assert found == CatchUp(utc("2025-10-26T03:00"), stored, utc("2025-10-26T02:00"), 5)
    assert caught_up(slots, stored, stored, None) == CatchUp(stored, None, None, 0)
    jumped = caught_up(slots, stored, now, utc("2025-10-26T00:30"))
    assert jumped == CatchUp(
        utc("2025-10-26T03:00"), utc("2025-10-26T01:00"), utc("2025-10-26T02:00"), 2
    )


@pytest.mark.slow
def test_years_of_minutes_are_counted_quickly() -> None:
    """A machine that was off for long: leap days and changes of the clock are right."""
    slots = CronSlots("* * * * *", BERLIN)
    count = slots.count(utc("2020-01-01T00:00"), utc("2025-01-01T00:00"))
    assert count == (5 * 365 + 2) * 1440


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"spread_seconds": 1_800, "calendar_months": True}])
def test_the_scheduler_runs_what_the_preview_shows(
    make_world: MakeWorld, options: dict[str, object]
) -> None:
    """Over the change of the clocks, with an offset as well."""
    world = make_world(**options)
    world.move_to(datetime(2025, 3, 28, 12, tzinfo=UTC))
    world.configure(1, keep_count=1, cron="30 2,14 * * 5-7", timezone=BERLIN)
    now = world.clock.now()
    ahead = upcoming(world.site.configuration, world.schedule(), now, 6)
    assert len(ahead) == 6
    for due in ahead:
        assert world.schedule().next_backup_at == due
        world.move_to(due)
        assert world.check().completed == 1
    hours = [f"{each.slot:%d %H:%M}" for each in world.recorded(BackupCompleted)]
    assert hours == ["28 13:30", "29 01:30", "29 13:30", "30 01:00", "30 12:30", "04 00:30"]


def test_missed_hours_are_made_up_by_one_run(world: World) -> None:
    """The earlier ones are named, and the next is the next full hour."""
    world.configure(1, cron="0 * * * *")
    world.due_again()
    first = world.clock.now()
    world.advance(hours=5, minutes=10)
    assert world.check().completed == 1
    (missed,) = world.recorded(SlotsMissed)
    assert (missed.first_slot, missed.count) == (first, 5)
    assert world.recorded(BackupStarted)[-1].slot == first + timedelta(hours=5)
    assert world.schedule().next_backup_at == first + timedelta(hours=6)


@pytest.mark.both_databases
def test_a_next_run_beyond_the_next_slot_is_put_right(world: World) -> None:
    """A clock that was ahead by half a day left it there; a daily rule would not see it."""
    world.configure(1, cron="0 * * * *")
    world.configure(2, cron="0 3 * * MON#1")
    world.advance(hours=12)
    world.due_again()
    assert world.check().completed == 1
    world.advance(hours=-12)
    now = world.clock.now()
    assert correct_next_runs(world.site, world.context()) == 1
    assert world.schedule().next_backup_at == CronSlots("0 * * * *", "UTC").after(now)
    assert world.recorded(SettingsUpdated)[-1].before["next_backup_at"] is not None
