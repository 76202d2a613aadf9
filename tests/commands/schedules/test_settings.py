"""Settings: created, changed, refused, paused and resumed; each of it is an event."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commands.errors import (
    InvalidArgument,
    InvalidSettings,
    SettingsNotFound,
    UnknownUser,
    exit_code_of,
)
from commands.runs import run as run_backups
from commands.schedules.settings import configure, find_settings, pause, resume, settings_of
from commands.site import actors
from ledger.events.scheduling import (
    BackupCompleted,
    SchedulePaused,
    ScheduleResumed,
    SettingsCreated,
    SettingsRejected,
    SettingsUpdated,
)
from tests.commands.conftest import MakeWorld
from tests.commands.world import World

THREE = datetime(2025, 1, 1, 3, tzinfo=UTC)


def test_first_settings_have_the_former_defaults(world: World) -> None:
    """Daily at 03:00 UTC, seven kept, enabled, and due at the next 03:00."""
    schedule = world.configure(7)
    (event,) = world.events_of(SettingsCreated)
    assert event.details.to_facts() == {
        "enabled": True,
        "frequency": "daily",
        "backup_time": "03:00",
        "keep_count": 7,
        "timezone": "UTC",
        "keep_within_days": 0,
        "keep_daily": 0,
        "keep_weekly": 0,
        "keep_monthly": 0,
        "keep_yearly": 0,
        "cron": None,
        "next_backup_at": "2025-01-01T03:00:00.000000Z",
        "next_slot": "2025-01-01T03:00:00.000000Z",
        "anchor_day": None,
    }
    assert (event.stream, event.user_id, event.actor.kind) == ("schedule/7", "7", "operator")
    assert schedule.next_backup_at == THREE
    assert schedule.created_at == schedule.updated_at == world.clock.now()


def test_change_records_only_what_changed(world: World) -> None:
    """Before and after hold the fields concerned; a value that is the same is not a change."""
    world.configure(keep_count=7)
    schedule = world.configure(keep_count=3, frequency="daily")
    (details,) = world.recorded(SettingsUpdated)
    assert (details.before, details.after) == ({"keep_count": 7}, {"keep_count": 3})
    assert details.next_backup_at == schedule.next_backup_at == THREE


def test_same_values_again_record_nothing(world: World) -> None:
    """Saving a form without a change is not an event."""
    world.configure(keep_count=7)
    with world.watched() as types:
        world.configure(keep_count=7, enabled=True, backup_time=None)
    assert types == []


@pytest.mark.parametrize(
    ("change", "due"),
    [
        ({"frequency": "weekly"}, THREE),
        ({"backup_time": "00:00"}, datetime(2025, 1, 2, tzinfo=UTC)),
        ({"timezone": "Asia/Tokyo"}, datetime(2025, 1, 1, 18, tzinfo=UTC)),
        ({"enabled": False}, None),
    ],
)
def test_change_of_time_moves_the_next_run(
    world: World, change: dict[str, Any], due: datetime | None
) -> None:
    """Counted from now; disabled means none."""
    world.configure()
    assert world.configure(**change).next_backup_at == due


@pytest.mark.parametrize(
    "change",
    [
        {"keep_count": 0},
        {"keep_count": 31},
        {"keep_count": True},
        {"keep_count": "7"},
        {"keep_count": 7.0},
        {"keep_count": 10**30},
        {"keep_count": float("nan")},
        {"backup_time": "24:00"},
        {"backup_time": "3:00"},
        {"backup_time": "03:60"},
        {"backup_time": "٠٣:٠٠"},  # noqa: RUF001
        {"backup_time": "03:00\n"},
        {"backup_time": 3},
        {"frequency": "hourly"},
        {"frequency": ["daily"]},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"timezone": ""},
        {"timezone": "x" * 100_000},
        {"timezone": "\ud800"},
        {"enabled": "yes"},
        {"enabled": 1},
        {"color": "red"},
        {"next_backup_at": "2025-01-01"},
    ],
    ids=lambda change: repr(change)[:40],
)
def test_refused_change_is_an_event_and_changes_nothing(
    world: World, change: dict[str, Any]
) -> None:
    """What was attempted and why it was refused stand in the ledger; exit code 2."""
    before = world.configure(keep_count=5)
    with pytest.raises(InvalidSettings) as refused:
        world.configure(1, **change)
    assert exit_code_of(refused.value) == 2
    assert isinstance(refused.value, ValueError)
    (event,) = world.events_of(SettingsRejected)
    assert event.details.error_type == "InvalidSettings"
    assert len(event.details.attempted) == 1
    assert event.error_message
    assert replace(world.schedule(), stream_version=1) == before


def test_one_wrong_value_refuses_the_whole_change(world: World) -> None:
    """Nothing is half changed; both attempted values are recorded."""
    world.configure()
    with pytest.raises(InvalidSettings, match="keep_count"):
        world.configure(frequency="weekly", keep_count=99)
    (details,) = world.recorded(SettingsRejected)
    assert details.attempted == {"frequency": "weekly", "keep_count": 99}
    assert world.schedule().frequency == "daily"


def test_refused_first_settings_make_no_row(world: World) -> None:
    """And good ones may follow on the same stream."""
    with pytest.raises(InvalidSettings):
        world.configure(keep_count=0)
    assert find_settings(world.site, 1) is None
    assert world.configure(keep_count=1).keep_count == 1
    assert world.schedule().stream_version == 2


@pytest.mark.parametrize("user_id", [0, -1, True, "1", None, 1.0, 2**63])
def test_user_id_that_is_none_is_refused_without_a_record(world: World, user_id: Any) -> None:
    """There is no stream that it could be recorded in."""
    with world.watched() as types, pytest.raises(InvalidArgument):
        configure(world.site, world.context(), user_id, {})
    assert types == []


def test_user_whom_the_application_does_not_know_is_refused(make_world: MakeWorld) -> None:
    """Where the read models live beside a table of users; recorded, exit code 4."""
    world = make_world(users=2)
    world.options["projections"] = str(world.database)
    world.configure(2)
    with pytest.raises(UnknownUser) as refused:
        world.configure(3)
    assert exit_code_of(refused.value) == 4
    (event,) = world.events_of(SettingsRejected)
    assert (event.stream, event.details.error_type) == ("schedule/3", "UnknownUser")


def test_paused_schedule_is_not_due_until_it_is_resumed(world: World) -> None:
    """Slots that pass meanwhile are dropped, with the pause as the reason."""
    world.configure()
    assert pause(world.site, world.context(), 1, "moving house").next_backup_at is None
    world.advance(days=3)
    assert world.check().completed == 0
    resumed = resume(world.site, world.context(), 1)
    assert resumed.next_backup_at == THREE + timedelta(days=3)
    world.due_again()
    assert world.check().completed == 1
    assert [each.note for each in world.recorded(SchedulePaused)] == ["moving house"]
    assert [each.next_backup_at for each in world.recorded(ScheduleResumed)] == [
        THREE + timedelta(days=3)
    ]


def test_pausing_twice_records_once(world: World) -> None:
    """What is so already is not an event."""
    world.configure()
    for _ in range(2):
        pause(world.site, world.context(), 1)
    for _ in range(2):
        resume(world.site, world.context(), 1)
    assert len(world.recorded(SchedulePaused)) == len(world.recorded(ScheduleResumed)) == 1


def test_nobodys_schedule_cannot_be_paused(world: World) -> None:
    """It says how to make one; exit code 4."""
    for command in (pause, resume):
        with pytest.raises(SettingsNotFound, match="settings set 1") as missing:
            command(world.site, world.context(), 1)
        assert exit_code_of(missing.value) == 4
    with pytest.raises(SettingsNotFound):
        settings_of(world.site, 1)


@pytest.mark.parametrize("note", ["", "  ", "x" * 5_000, "\ud800"])
def test_note_that_says_nothing_or_too_much_is_refused(world: World, note: str) -> None:
    """A note is read by people, later."""
    world.configure()
    with pytest.raises(InvalidArgument):
        pause(world.site, world.context(), 1, note)
    assert not world.schedule().paused


def test_settings_changed_in_a_run_hold_for_what_comes_after(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that is under way completes, and its next time is by the new settings."""
    site = world.open()
    world.configure()
    world.due_again()
    stage = run_backups.stage_snapshot

    def change_meanwhile(*arguments: Any) -> Any:
        configure(site, site.context(actors.user(1)), 1, {"backup_time": "12:00"})
        return stage(*arguments)

    monkeypatch.setattr(run_backups, "stage_snapshot", change_meanwhile)
    assert world.check().completed == 1
    (completed,) = world.recorded(BackupCompleted)
    assert completed.next_backup_at == datetime(2025, 1, 1, 12, tzinfo=UTC)
    assert completed.slot == THREE
    (changed,) = world.events_of(SettingsUpdated)
    assert (changed.actor.kind, changed.actor.id) == ("user", "1")


def test_a_cron_expression_brings_its_nearest_frequency(world: World) -> None:
    """The application's table and its CHECK stay as they are; the rest is as it was."""
    world.configure(backup_time="04:00", timezone="Europe/Berlin")
    schedule = world.configure(cron=" 30 2 * *  MON#1 ")
    assert (schedule.cron, schedule.frequency, schedule.backup_time) == (
        "30 2 * * MON#1",
        "monthly",
        "04:00",
    )
    (details,) = world.recorded(SettingsUpdated)
    assert details.after == {"cron": "30 2 * * MON#1", "frequency": "monthly"}
    assert schedule.next_backup_at == datetime(2025, 1, 6, 1, 30, tzinfo=UTC)
    assert schedule.next_slot == schedule.next_backup_at


@pytest.mark.parametrize("change", [{"frequency": "daily"}, {"backup_time": "03:00"}])
def test_frequency_and_time_end_a_cron_expression(world: World, change: dict[str, str]) -> None:
    """In the same event, also where the value itself is what it was; other fields do not."""
    world.configure(cron="0 * * * *", enabled=True)
    assert world.configure(keep_count=3, timezone="Europe/Berlin").cron == "0 * * * *"
    schedule = world.configure(**change)
    details = world.recorded(SettingsUpdated)[-1]
    assert (details.before, details.after) == ({"cron": "0 * * * *"}, {"cron": None})
    assert schedule.cron is None
    assert schedule.next_backup_at == datetime(2025, 1, 1, 2, tzinfo=UTC)  # 03:00 in Berlin


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"cron": "0 25 * * *"}, "cron: '0 25.* its hour is wrong"),
        ({"cron": 5}, "cron: "),
        ({"cron": "0 3 * * *", "frequency": "daily"}, "either a cron expression, or"),
        ({"cron": "0 3 * * *", "backup_time": "03:00"}, "either a cron expression, or"),
    ],
)
def test_a_refused_cron_expression_is_recorded(
    world: World, change: dict[str, Any], problem: str
) -> None:
    """As every other setting that is refused; nothing is changed."""
    before = world.configure()
    with pytest.raises(InvalidSettings, match=problem):
        world.configure(**change)
    (rejected,) = world.recorded(SettingsRejected)
    assert rejected.attempted["cron"] == change["cron"]
    assert replace(world.schedule(), stream_version=1) == before
