"""A schedule that is paused, disabled or late; a scheduler that stops; each of it recorded."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from threading import Event
from typing import Any

import pytest
from sqlalchemy import update

from commands.runs import run as run_backups
from commands.scheduler import check as scheduler
from commands.scheduler.check import CheckReport, check
from commands.scheduler.checks import Checks
from commands.scheduler.process import run_scheduler
from commands.schedules.settings import configure, pause, resume
from commands.site import actors
from ledger.append.tables import meta
from ledger.errors import LedgerTooNew
from ledger.events.scheduling import (
    BackupCompleted,
    BackupFailed,
    CheckFailed,
    SchedulerStarted,
    SchedulerStopped,
    SlotsMissed,
)
from tests.commands.conftest import MakeWorld
from tests.commands.world import World


def three_due(world: World) -> None:
    for user_id in (1, 2, 3):
        world.configure(user_id)
    world.due_again()


def test_missed_next_slot_ends_the_retries_of_the_one_before(world: World) -> None:
    """A failure, then nobody checks for two days: a new run, attempt 1, stands for all."""
    world.configure()
    world.due_again()
    away = world.database.rename(world.folder / "away")
    world.check()
    away.rename(world.database)
    world.advance(days=2)
    assert world.check() == CheckReport(completed=1, missed_slots=2)
    assert world.recorded(BackupCompleted)[0].attempt == 1


def test_pause_between_failure_and_retry_ends_the_retries(world: World) -> None:
    """Resumed, the next slot is a fresh one."""
    world.configure()
    world.due_again()
    away = world.database.rename(world.folder / "away")
    world.check()
    pause(world.site, world.context(), 1)
    away.rename(world.database)
    world.advance(hours=2)
    assert world.check() == CheckReport()
    resume(world.site, world.context(), 1)
    assert world.schedule().next_attempt == 1
    world.due_again()
    assert world.check() == CheckReport(completed=1)


@pytest.mark.parametrize("how", ["pause", "disable"])
def test_schedule_stopped_in_the_middle_of_its_run_has_no_next_one(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The run itself is finished, or fails, as if nothing had been said."""
    site = world.open()
    world.configure()
    world.due_again()
    stage = run_backups.stage_snapshot

    def stop_meanwhile(*arguments: Any) -> Any:
        context = site.context(actors.operator())
        if how == "pause":
            pause(site, context, 1)
        else:
            configure(site, context, 1, {"enabled": False})
        return stage(*arguments)

    monkeypatch.setattr(run_backups, "stage_snapshot", stop_meanwhile)
    assert world.check() == CheckReport(completed=1)
    assert world.recorded(BackupCompleted)[0].next_backup_at is None
    assert world.schedule().next_backup_at is None
    world.advance(days=3)
    assert world.check() == CheckReport()


def test_failed_run_of_a_schedule_that_was_stopped_meanwhile_is_not_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry would be a run that nobody wants any more."""
    site = world.open()
    world.configure()
    world.due_again()

    def fail(*_: Any) -> Any:
        configure(site, site.context(actors.operator()), 1, {"enabled": False})
        raise OSError("the disk is gone")

    monkeypatch.setattr(run_backups, "stage_snapshot", fail)
    assert world.check() == CheckReport(failed=1)
    assert world.recorded(BackupFailed)[0].next_backup_at is None
    assert world.schedule().next_backup_at is None


def test_check_that_fails_is_recorded_and_survived(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler goes on; the next check is as good as ever."""

    def fail(*_: Any) -> Any:
        raise RuntimeError("out of order")

    world.configure()
    world.due_again()
    with monkeypatch.context() as patched:
        patched.setattr("commands.scheduler.checks.check", fail)
        assert Checks(world.site).check() == CheckReport(failed=1)
    (event,) = world.events_of(CheckFailed)
    assert event.details.error_type == "RuntimeError"
    assert event.stream == f"scheduler/{world.site.instance}"
    assert Checks(world.site).check() == CheckReport(completed=1)


def test_scheduler_records_its_start_and_its_stop(world: World) -> None:
    """With host, process and interval; a stop that is asked for ends it after the check."""
    world.configure()
    world.due_again()
    stop = Event()
    reports = []

    def once(report: CheckReport) -> None:
        reports.append(report)
        stop.set()

    total = run_scheduler(world.site, once=False, stop=stop, on_check=once)
    assert total == CheckReport(completed=1)
    assert reports == [total]
    (started,), (stopped,) = world.events_of(SchedulerStarted), world.events_of(SchedulerStopped)
    assert started.details.check_interval_seconds == 60
    assert started.details.pid > 0
    assert started.stream == stopped.stream == f"scheduler/{world.site.instance}"
    assert stopped.details.reason == "stopped"
    assert started.user_id is None


def test_stop_during_a_check_lets_the_batch_finish(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was claimed is done; what was not is due at the next start."""
    monkeypatch.setattr(scheduler, "CLAIMS_PER_BATCH", 2)
    three_due(world)
    stop = Event()
    finish = run_backups.complete_runs

    def finish_and_stop(*arguments: Any) -> Any:
        stop.set()
        return finish(*arguments)

    monkeypatch.setattr(run_backups, "complete_runs", finish_and_stop)
    assert check(world.site, stop) == CheckReport(completed=2)
    assert check(world.site) == CheckReport(completed=1)


def test_calendar_months_are_an_option(make_world: MakeWorld) -> None:
    """The last of January, then the last of February."""
    world = make_world(calendar_months=True)
    world.advance(days=30)
    world.configure(frequency="monthly")
    world.due_again()
    world.check()
    due = world.schedule().next_backup_at
    assert due is not None
    assert due.date().isoformat() == "2025-02-28"


@pytest.mark.parametrize("late", [{"days": 4, "hours": 1}, {"hours": 15}, {"days": 17}])
def test_a_late_run_changes_no_weekday(world: World, late: dict[str, int]) -> None:
    """The former service counted from now: then a weekly backup became a daily one."""
    world.configure(frequency="weekly", backup_time="18:00")
    world.due_again()
    first = world.clock.now()
    world.advance(**late)
    world.check()
    due = world.schedule().next_backup_at
    assert due is not None
    assert (due - first) % timedelta(days=7) == timedelta(0)
    assert world.clock.now() < due <= world.clock.now() + timedelta(days=7)


@pytest.mark.slow
@pytest.mark.parametrize("frequency", ["weekly", "monthly"])
def test_a_machine_that_is_on_by_day_only_keeps_the_rhythm(world: World, frequency: str) -> None:
    """Set for 18:00 on a machine that runs from 8 to 17: made up next morning, for half a year."""
    world.advance(hours=9)
    world.configure(frequency=frequency, backup_time="18:00")
    for _ in range(180):
        world.advance(days=1)
        world.check()
    slots = [each.slot for each in world.recorded(BackupCompleted)]
    step = timedelta(days=7 if frequency == "weekly" else 30)
    assert len(slots) == 180 // step.days + (frequency == "weekly")
    assert {later - earlier for earlier, later in pairwise(slots)} == {step}
    assert world.recorded(SlotsMissed) == []


def test_a_change_during_a_run_stands(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it computed is not overwritten by the end of the run that was under way."""
    site = world.open()
    world.configure(backup_time="03:00")
    world.due_again()
    stage = run_backups.stage_snapshot

    def stage_and_change(*arguments: Any) -> Any:
        world.configure(backup_time="12:00", keep_count=3)
        return stage(*arguments)

    monkeypatch.setattr(run_backups, "stage_snapshot", stage_and_change)
    assert check(site).completed == 1
    noon = world.clock.now().replace(hour=12)
    assert (world.schedule().next_backup_at, world.schedule().next_slot) == (noon, noon)


@pytest.mark.slow
def test_no_retry_comes_at_or_after_the_next_slot(make_world: MakeWorld) -> None:
    """The next slot takes over, with a first attempt of its own."""
    world = make_world()
    world.configure(backup_time="03:00")
    world.due_again()
    world.advance(hours=23, minutes=59, seconds=50)
    away = world.database.rename(world.folder / "away")
    world.check()
    (failed,) = world.recorded(BackupFailed)
    assert (failed.attempt, failed.next_slot) == (1, failed.slot + timedelta(days=1))
    assert failed.next_backup_at == failed.next_slot
    away.rename(world.database)
    world.due_again()
    assert world.check().completed == 1
    (completed,) = world.recorded(BackupCompleted)
    assert (completed.slot, completed.attempt) == (failed.next_slot, 1)


def test_a_scheduler_ends_where_newer_software_took_over(world: World) -> None:
    """It says so, and claims nothing more; its next check would stop midway."""
    world.configure()
    world.due_again()
    with world.site.ledger.engine.begin() as connection:
        connection.execute(update(meta).values(software_version="99.0.0"))
    with pytest.raises(LedgerTooNew, match="update backup-ledger"):
        run_scheduler(world.site, once=False, stop=Event())
    assert world.recorded(BackupCompleted) == []
    (stopped,) = world.recorded(SchedulerStopped)
    assert "update backup-ledger" in stopped.reason
