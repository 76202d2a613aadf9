"""Years of schedules, replayed in seconds: real files, real databases, injected time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from commands.scheduler.check import CheckReport
from ledger.clock import ManualClock
from ledger.events.retention import RetentionApplied
from ledger.events.scheduling import BackupCompleted, BackupFailed, SettingsUpdated, SlotsMissed
from tests.commands.conftest import MakeWorld
from tests.commands.world import World, make_database

FEW_DAYS = datetime(2020, 2, 10, tzinfo=UTC), 40
TWO_YEARS = datetime(2019, 1, 1, tzinfo=UTC), 731
"""Both with a leap day; a year more repeats what was seen."""


@pytest.fixture
def replayed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[World, int]]:
    """A world at the beginning of so many days."""
    begin, days = request.param
    world = World(tmp_path, ManualClock(begin))
    make_database(world.database)
    yield world, days
    world.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "replayed", [FEW_DAYS, pytest.param(TWO_YEARS, marks=pytest.mark.long)], indirect=True
)
def test_daily_backups_keep_seven_and_lose_no_day(replayed: tuple[World, int]) -> None:
    """Every day has one completed run, retention leaves seven, leap days included."""
    world, days = replayed
    world.configure(1, keep_count=7)
    first = world.clock.now()
    for _ in range(days):
        world.due_again()
        assert world.check() == CheckReport(completed=1)
    slots = [details.slot for details in world.recorded(BackupCompleted)]
    assert slots == [first + timedelta(days=number, hours=3) for number in range(days)]
    assert datetime(2020, 2, 29, 3, tzinfo=UTC) in slots
    assert len(world.files()) == 7
    assert sum(each.deleted_count for each in world.recorded(RetentionApplied)) == days - 7


@pytest.mark.slow
@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("zone", "at"),
    [
        ("Europe/Berlin", "02:30"),
        ("America/New_York", "02:30"),
        ("Australia/Lord_Howe", "02:15"),
        ("America/Santiago", "00:00"),
    ],
)
def test_a_daily_backup_runs_once_a_local_day_through_clock_changes(
    make_world: MakeWorld, zone: str, at: str
) -> None:
    """A time that is skipped moves to the first that exists; one that repeats runs once."""
    world, tz = make_world(), ZoneInfo(zone)
    moved = 0
    for change in clock_changes(tz, 2025):
        world.move_to(change - timedelta(days=2))
        world.configure(1, timezone=zone, backup_time=at, keep_count=1, enabled=True)
        for _ in range(4):
            world.due_again()
            assert world.check().completed == 1
        slots = [details.slot for details in world.recorded(BackupCompleted)[-4:]]
        local = [slot.astimezone(tz) for slot in slots]
        days = [moment.date() for moment in local]
        assert days == [days[0] + timedelta(days=number) for number in range(4)]
        assert all(moment.strftime("%H:%M") >= at for moment in local)
        moved += sum(moment.strftime("%H:%M") > at for moment in local)
        world.configure(1, enabled=False)
    assert moved == 1  # the one day of the year on which that time does not exist


def clock_changes(tz: ZoneInfo, year: int) -> list[datetime]:
    """Midnights UTC before which the zone's offset changed."""
    days = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in range(365)]
    return [
        later
        for earlier, later in pairwise(days)
        if earlier.astimezone(tz).utcoffset() != later.astimezone(tz).utcoffset()
    ]


@pytest.mark.both_databases
def test_slots_that_passed_while_nothing_ran_are_named(make_world: MakeWorld) -> None:
    """One catch-up run carries the latest slot; the earlier ones are recorded as missed."""
    world = make_world()
    world.configure(1, backup_time="03:00")
    world.move_to(datetime(2025, 1, 11, 9, tzinfo=UTC))
    assert world.check() == CheckReport(completed=1, missed_slots=10)
    (missed,) = world.recorded(SlotsMissed)
    assert missed.first_slot == datetime(2025, 1, 1, 3, tzinfo=UTC)
    assert missed.last_slot == datetime(2025, 1, 10, 3, tzinfo=UTC)
    assert missed.count == 10
    (completed,) = world.recorded(BackupCompleted)
    assert completed.slot == datetime(2025, 1, 11, 3, tzinfo=UTC)
    assert completed.next_backup_at == datetime(2025, 1, 12, 3, tzinfo=UTC)


@pytest.mark.both_databases
def test_a_failure_is_tried_five_more_times_then_waits_for_the_next_slot(
    make_world: MakeWorld,
) -> None:
    """The former service retried every minute for ever."""
    world = make_world()
    world.configure(1, backup_time="03:00")
    away = world.database.rename(world.folder / "away")
    waits = []
    for _ in range(6):
        world.due_again()
        before = world.clock.now()
        assert world.check() == CheckReport(failed=1)
        due = world.schedule().next_backup_at
        assert due is not None
        waits.append(due - before)
    failed = world.recorded(BackupFailed)
    assert [each.attempt for each in failed] == [1, 2, 3, 4, 5, 6]
    assert {each.slot for each in failed} == {datetime(2025, 1, 1, 3, tzinfo=UTC)}
    assert failed[-1].next_backup_at == datetime(2025, 1, 2, 3, tzinfo=UTC)
    assert all(timedelta(seconds=30) <= wait <= timedelta(hours=1) for wait in waits[:5])
    away.rename(world.database)
    world.due_again()
    assert world.check() == CheckReport(completed=1)
    assert world.recorded(BackupCompleted)[0].attempt == 1
    assert world.schedule().failures == 0


@pytest.mark.both_databases
def test_a_clock_that_jumped_ahead_and_back_does_not_silence_a_schedule(
    make_world: MakeWorld,
) -> None:
    """A next run further ahead than its frequency allows is recomputed, and recorded."""
    world = make_world()
    world.configure(1, backup_time="03:00")
    world.move_to(datetime(2026, 6, 1, tzinfo=UTC))
    assert world.check().completed == 1
    world.move_to(datetime(2025, 1, 2, 12, tzinfo=UTC))
    assert world.check().completed == 0
    corrected = world.recorded(SettingsUpdated)[-1]
    ahead = "2026-06-01T03:00:00.000000Z"
    assert corrected.before == {"next_backup_at": ahead, "next_slot": ahead}
    assert corrected.next_backup_at == datetime(2025, 1, 3, 3, tzinfo=UTC)
    world.due_again()
    assert world.check().completed == 1


@pytest.mark.slow
def test_hundreds_of_users_due_at_three_are_done_in_one_check(make_world: MakeWorld) -> None:
    """They share one file, each with an entry and retention of their own."""
    world = make_world()
    users = 300
    for user_id in range(1, users + 1):
        world.configure(user_id, keep_count=1, backup_time="03:00")
    world.due_again()
    assert world.check() == CheckReport(completed=users)
    first = world.present()
    assert len({backup.user_id for backup in first}) == users
    assert {(world.backups / backup.filename).stat().st_nlink for backup in first} == {users}
    assert sum(backup.shared_with is None for backup in first) == 1
    world.due_again()
    assert world.check() == CheckReport(completed=users)
    second = world.present()
    assert len(second) == users
    assert not {backup.backup_id for backup in first} & {backup.backup_id for backup in second}
    assert world.files() == {backup.filename for backup in second}
    assert world.staged() == []


@pytest.mark.both_databases
def test_one_users_name_in_the_way_disturbs_nobody(make_world: MakeWorld) -> None:
    """A foreign file with the next backup's name is moved aside, never overwritten."""
    world = make_world()
    for user_id in (1, 2, 3):
        world.configure(user_id, backup_time="03:00")
    world.due_again()
    foreign = world.backups / "auto_backup_user2_2025-01-01T03-00-00.db"
    foreign.write_bytes(b"somebody else's")
    assert world.check() == CheckReport(completed=3)
    assert foreign.read_bytes() == b"somebody else's"
    assert "auto_backup_user2_2025-01-01T03-00-00_2.db" in world.files()


@pytest.mark.both_databases
def test_a_broken_database_fails_only_its_own_runs(make_world: MakeWorld) -> None:
    """Another folder's schedule, on the same machine and in the same check, is served."""
    broken, sound = make_world("broken"), make_world("sound")
    for world in (broken, sound):
        world.configure(1, backup_time="03:00")
    broken.database.unlink()
    broken.due_again()
    assert broken.check() == CheckReport(failed=1)
    sound.due_again()
    assert sound.check() == CheckReport(completed=1)
    assert broken.recorded(BackupFailed)[0].error_type == "SourceMissing"


@pytest.mark.both_databases
def test_independent_copies_share_no_file(make_world: MakeWorld) -> None:
    """An option for those who want each user's backup to fail alone."""
    world = make_world(independent_copies=True)
    for user_id in (1, 2):
        world.configure(user_id)
    world.due_again()
    assert world.check() == CheckReport(completed=2)
    assert {(world.backups / name).stat().st_nlink for name in world.files()} == {1}
    assert all(backup.shared_with is None for backup in world.present())


@pytest.mark.both_databases
def test_spread_users_run_later_at_a_time_of_their_own(make_world: MakeWorld) -> None:
    """Slots stay nominal; the offset is the same every day."""
    world = make_world(spread_seconds=3_600)
    for user_id in range(1, 6):
        world.configure(user_id, backup_time="03:00")
    due = {user_id: world.schedule(user_id) for user_id in range(1, 6)}
    assert {each.next_slot for each in due.values()} == {datetime(2025, 1, 1, 3, tzinfo=UTC)}
    assert len({each.next_backup_at for each in due.values()}) > 1
    world.move_to(datetime(2025, 1, 1, 4, tzinfo=UTC))
    assert world.check() == CheckReport(completed=5)
    for user_id, before in due.items():
        assert before.next_backup_at is not None
        after = world.schedule(user_id)
        assert after.next_backup_at == before.next_backup_at + timedelta(days=1)
        assert after.next_slot == datetime(2025, 1, 2, 3, tzinfo=UTC)
