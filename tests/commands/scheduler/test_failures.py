"""What goes wrong for one user, or in the middle of something, stays there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from commands.runs import complete as complete_runs
from commands.scheduler.check import CheckReport, check
from commands.scheduler.checks import Checks
from commands.site.configuration import Configuration
from commands.site.opening import begin
from ledger.append.database import place_of
from ledger.events.catalog import BackupCreated
from ledger.events.housekeeping import ProjectionRebuilt
from ledger.events.retention import DeletionFailed, RetentionApplied, RetentionFailed
from ledger.events.scheduling import (
    BackupCompleted,
    BackupFailed,
    BackupStarted,
)
from tests.commands.conftest import MakeWorld
from tests.commands.invariants import require_models_are_the_fold, require_whole
from tests.commands.world import World, break_database, make_database


def three_due(world: World, **changes: Any) -> None:
    for user_id in (1, 2, 3):
        world.configure(user_id, **changes)
    world.due_again()


def tamper(world: World, assignment: str) -> None:
    """Change the second user's row of a read model by hand."""
    with closing(sqlite3.connect(world.backups / "projections.sqlite")) as connection:
        connection.execute(f"UPDATE backup_settings SET {assignment} WHERE user_id = 2")
        connection.commit()


def test_run_is_recorded_from_claim_to_completion(world: World) -> None:
    """Actor scheduler, owner the user, correlation and causation the run."""
    world.configure(4, keep_count=1)
    world.due_again(4)
    with world.watched() as types:
        assert world.check() == CheckReport(completed=1)
    assert types == [
        "backup_scheduler.backup_started",
        "backup_catalog.backup_created",
        "backup_retention.applied",
        "backup_scheduler.backup_completed",
    ]
    (claim,) = world.events_of(BackupStarted)
    for kind in (BackupCreated, RetentionApplied, BackupCompleted):
        (event,) = world.events_of(kind)
        assert (event.correlation_id, event.causation_id) == (claim.event_id, claim.event_id)
        assert (event.actor.kind, event.actor.id) == ("scheduler", world.site.instance)
        assert event.user_id == "4"
    (completed,) = world.recorded(BackupCompleted)
    (backup,) = world.present()
    assert (completed.backup_id, completed.filename) == (backup.backup_id, backup.filename)
    assert (completed.size, completed.sha256) == (backup.size, backup.sha256)
    assert (completed.frequency, completed.attempt) == ("daily", 1)
    assert completed.started_at == claim.timestamp
    assert completed.deleted_old_backups == 0
    require_whole(world.site)


def test_failed_run_is_recorded_with_its_retry(world: World) -> None:
    """The reason, the attempt, and when it is tried again; nothing is left behind."""
    world.configure()
    world.due_again()
    break_database(world.database)
    assert world.check() == CheckReport(failed=1)
    (event,) = world.events_of(BackupFailed)
    assert (event.details.error_type, event.details.attempt) == ("NotADatabase", 1)
    assert "not a SQLite database" in event.error_message
    assert event.details.next_backup_at == world.schedule().next_backup_at
    assert world.schedule().failures == 1
    assert (world.files(), world.staged()) == (set(), [])
    require_whole(world.site)


def test_backup_that_retention_cannot_delete_disturbs_nobody(world: World) -> None:
    """Recorded for its owner; all runs complete, all others' old backups go."""
    three_due(world, keep_count=1)
    world.check()
    stuck = next(backup for backup in world.present() if backup.user_id == 2)
    (world.backups / stuck.filename).unlink()
    (world.backups / stuck.filename).mkdir()
    world.due_again()
    assert world.check() == CheckReport(completed=3)
    deleted = {each.frequency: each.deleted_old_backups for each in world.recorded(BackupCompleted)}
    assert deleted == {"daily": 1}
    (failed,) = world.events_of(DeletionFailed)
    assert (failed.user_id, failed.details.filename) == ("2", stuck.filename)
    assert len(world.present()) == 3


def test_retention_that_fails_does_not_fail_the_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error is recorded beside the completed run, for that user only."""
    retain = complete_runs.begin_retention

    def fail_for_two(site: Any, context: Any, orders: Any) -> Any:
        if any(order.user_id == 2 for order in orders):
            raise RuntimeError("retention is out of order")
        return retain(site, context, orders)

    three_due(world)
    monkeypatch.setattr(complete_runs, "begin_retention", fail_for_two)
    assert world.check() == CheckReport(completed=3)
    (failed,) = world.events_of(RetentionFailed)
    assert (failed.user_id, failed.details.error_type) == ("2", "RuntimeError")
    assert {each.scope for each in world.recorded(RetentionApplied)} == {"1", "3"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "assignment",
    [
        "timezone = 'Mars/Olympus'",
        "backup_time = 'noon'",
        "next_slot = '2999-01-01 03:00:00.000000'",
        "stream_version = 99",
        "stream_version = 0",
        "next_attempt = -5",
        "next_attempt = 0",
        "next_slot = 'not a time'",
        "frequency = 'daily', keep_count = 30, timezone = ''",
    ],
)
def test_tampered_row_disturbs_nobody_else(world: World, assignment: str) -> None:
    """The others are served in the same check, and the day after."""
    three_due(world)
    tamper(world, assignment)
    for _ in range(2):
        Checks(world.site).check()
        world.advance(days=1)
    runs = {event.user_id for event in world.events_of(BackupCompleted)}
    assert {"1", "3"} <= runs
    assert len([each for each in world.events_of(BackupCompleted) if each.user_id == "1"]) == 2


@pytest.mark.slow
def test_rows_that_cannot_be_folded_on_are_folded_again(world: World) -> None:
    """The read models heal by themselves, and say why."""
    three_due(world)
    tamper(world, "timezone = 'Mars/Olympus'")
    Checks(world.site).check()
    world.due_again(1)
    Checks(world.site).check()
    require_models_are_the_fold(world.site)
    assert world.schedule(2).timezone == "UTC"
    (rebuilt,) = [
        each for each in world.recorded(ProjectionRebuilt) if each.name == "backup_settings"
    ]
    assert "Mars/Olympus" in rebuilt.reason


def test_two_sites_with_one_ledger_fail_apart(make_world: MakeWorld) -> None:
    """A site whose database is gone fails its own runs; the other one's users are its own."""
    world = make_world()
    three_due(world)
    other = make_database(world.folder / "other.db")
    places = {"database": other, "backups": world.folder / "others"}
    places |= {"ledger": place_of(world.site.configuration.ledger_url)}
    begin(Configuration(**world.options | places), world.clock, new=True)
    broken = world.open("act", **places)
    other.unlink()
    assert check(broken) == CheckReport(failed=3)
    world.due_again(3)
    for user_id in (1, 2):
        world.due_again(user_id)
    assert check(world.sites[0]) == CheckReport(completed=3)
    assert {each.attempt for each in world.recorded(BackupCompleted)} == {2}


def test_entry_that_cannot_be_published_fails_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others of the shared snapshot are completed; it is published later, as recorded."""
    three_due(world)
    publish = world.site.store.publish

    def refuse_two(staged: Path, filename: str) -> str | None:
        if "user2" in filename:
            raise OSError(5, "Input/output error")
        return publish(staged, filename)

    with monkeypatch.context() as patched:
        patched.setattr(world.site.store, "publish", refuse_two)
        assert world.check() == CheckReport(completed=2, failed=1)
    assert len(world.files()) == 2
    world.due_again(2)
    assert world.check() == CheckReport(completed=1)
    assert len(world.files()) == 4
    require_whole(world.site)
