"""A schedule's next runs: what a preview shows is what the scheduler does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commands.recovery.reconcile import reconcile
from commands.restore.restore import restore_backup
from commands.schedules import local_time
from commands.schedules.local_time import zone
from commands.schedules.rhythm import remarks, upcoming
from commands.schedules.settings import pause, resume
from ledger.events.housekeeping import ProjectionRebuilt
from ledger.events.scheduling import BackupCompleted, BackupFailed, SettingsRejected
from tests.commands.conftest import MakeWorld
from tests.commands.world import World, break_database

KYIV = "Europe/Kyiv"


def previewed(world: World, count: int) -> list[datetime]:
    found = upcoming(world.site.configuration, world.schedule(), world.clock.now(), count)
    assert len(found) == count
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "late"),
    [
        ({"frequency": "weekly", "backup_time": "18:00"}, timedelta(hours=15)),
        ({"frequency": "monthly", "backup_time": "02:30"}, timedelta(days=2)),
        ({"backup_time": "02:30", "timezone": "Europe/Berlin"}, timedelta(minutes=1)),
        ({"backup_time": "23:59", "timezone": "America/Nuuk"}, timedelta(0)),
    ],
)
@pytest.mark.parametrize("options", [{}, {"calendar_months": True, "spread_seconds": 7_200}])
def test_a_preview_is_what_the_scheduler_then_does(
    make_world: MakeWorld, settings: dict[str, Any], late: timedelta, options: dict[str, Any]
) -> None:
    """For a year of months, also after a first one that was late."""
    world = make_world(**options)
    world.move_to(datetime(2025, 1, 31, 12, tzinfo=UTC))
    world.configure(1, keep_count=1, **settings)
    world.due_again()
    world.manual.advance(late)
    assert world.check().completed == 1
    ahead = previewed(world, 13)
    for due in ahead:
        assert world.schedule().next_backup_at == due
        world.move_to(due)
        assert world.check().completed == 1
    assert len(world.recorded(BackupCompleted)) == 14


def test_a_run_that_is_overdue_runs_now(world: World) -> None:
    """And the others as if it had been on time."""
    world.configure(1, frequency="weekly", backup_time="18:00")
    world.due_again()
    slot = world.clock.now()
    world.advance(hours=15)
    week = timedelta(days=7)
    assert previewed(world, 3) == [world.clock.now(), slot + week, slot + 2 * week]


def test_nothing_is_ahead_of_a_paused_schedule(world: World) -> None:
    """Nor of a disabled one; resumed, it is counted from now."""
    world.configure(1)
    pause(world.site, world.context(), 1)
    assert upcoming(world.site.configuration, world.schedule(), world.clock.now(), 3) == []
    resume(world.site, world.context(), 1)
    world.configure(1, enabled=False)
    assert upcoming(world.site.configuration, world.schedule(), world.clock.now(), 3) == []


@pytest.fixture
def zone_is_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two users, of whom one has a zone that the machine does not know any more."""
    world.configure(1)
    world.configure(2, timezone=KYIV)
    known = local_time._zone_names() - {KYIV}
    monkeypatch.setattr(local_time, "_zone_names", lambda: known)
    local_time.zone.cache_clear()
    return world


@pytest.mark.slow
def test_a_user_of_an_unknown_zone_fails_alone_and_says_so(zone_is_gone: World) -> None:
    """Six attempts for a slot, then the next day's; everybody else runs."""
    world = zone_is_gone
    world.advance(hours=26)
    report = world.check()
    assert (report.completed, report.failed) == (1, 1)
    (failed,) = world.events_of(BackupFailed)
    assert (failed.user_id, failed.details.error_type) == ("2", "UnknownTimeZone")
    assert KYIV in failed.error_message
    for _ in range(3 * 24 * 6):
        world.advance(minutes=10)
        world.check()
    days = {each.slot.date() for each in world.recorded(BackupFailed)}
    assert len(days) >= 3
    assert {each.user_id for each in world.events_of(BackupCompleted)} == {"1"}
    assert world.recorded(ProjectionRebuilt) == []  # the row is what the ledger says


@pytest.mark.parametrize(
    "change",
    [
        {"timezone": "Europe/Kiev"},
        {"enabled": False},
        {"keep_count": 3},
        {"backup_time": "05:00"},
    ],
)
def test_a_user_of_an_unknown_zone_can_still_be_changed(
    zone_is_gone: World, change: dict[str, Any]
) -> None:
    """Also to a zone that is known here: the next run then is a good one."""
    world = zone_is_gone
    changed = world.configure(2, **change)
    assert {name: getattr(changed, name) for name in change} == change
    assert world.recorded(SettingsRejected) == []
    pause(world.site, world.context(), 2)
    resume(world.site, world.context(), 2)
    world.advance(hours=26)
    failures = {"timezone": 0, "enabled": 0}.get(next(iter(change)), 1)
    assert world.check().failed == failures


@pytest.mark.slow
def test_an_unknown_zone_stops_no_rebuild_and_no_restore(zone_is_gone: World) -> None:
    """Folds never ask the machine; rows are the same with any time zone database."""
    world = zone_is_gone
    world.advance(hours=26)
    world.check()
    before = [world.schedule(user_id) for user_id in (1, 2)]
    name = world.present(1)[0].filename
    world.close()
    for path in world.backups.glob("projections.sqlite*"):
        path.unlink()
    world.open("act")
    assert [world.schedule(user_id) for user_id in (1, 2)] == before
    reconcile(world.site, world.context())
    restore_backup(world.site, world.context(), name)


def test_what_is_odd_about_a_run_is_said(make_world: MakeWorld) -> None:
    """A skipped hour, a doubled one, a short month; nothing of an ordinary day."""
    world = make_world(calendar_months=True, spread_seconds=600)
    world.move_to(datetime(2025, 1, 31, 12, tzinfo=UTC))
    months = {"frequency": "monthly", "backup_time": "23:00"}
    for user_id, settings, day, said in [
        (1, {"backup_time": "02:30"}, "2025-03-30", "the clocks skip 02:30 that day"),
        (1, {"backup_time": "02:30"}, "2025-03-31", None),
        (1, {"backup_time": "02:30"}, "2025-10-26", "02:30 comes twice that day: the first"),
        (2, {"cron": "*/30 2 * * *"}, "2025-03-30", "the clocks skip its time that day"),
        (2, {"cron": "*/30 2 * * *"}, "2025-03-31", None),
        (3, months, "2025-02-28", "the month has no day 31"),
        (3, months, "2025-03-31", None),
    ]:
        world.configure(user_id, timezone="Europe/Berlin", **settings)
        schedule, configuration = world.schedule(user_id), world.site.configuration
        ahead = upcoming(configuration, schedule, world.clock.now(), 600)
        odd = remarks(configuration, schedule, ahead)
        berlin = zone("Europe/Berlin")
        by_day = {
            at.astimezone(berlin).date().isoformat(): remark
            for at, remark in zip(ahead, odd, strict=True)
        }
        assert by_day[day] == said


def test_a_retry_is_not_odd(world: World) -> None:
    """It has no time of day to compare with."""
    world.configure(1, backup_time="02:30")
    world.due_again()
    break_database(world.database)
    world.check()
    schedule = world.schedule()
    ahead = upcoming(world.site.configuration, schedule, world.clock.now(), 2)
    assert remarks(world.site.configuration, schedule, ahead) == [None, None]
