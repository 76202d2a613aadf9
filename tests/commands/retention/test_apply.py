"""Retention: what the plan says is what is done, and every keep and delete has its reasons."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commands.backups.hold import place_hold
from commands.backups.take import take_backup
from commands.recovery.reconcile import reconcile
from commands.retention import apply as module
from commands.retention.apply import Order, apply_retention, preview_retention
from commands.retention.rules import InvalidKeepCount
from commands.site.configuration import Configuration
from commands.site.opening import begin, open_site
from commands.verification.verify import verify_backup
from ledger.events.catalog import BackupDeleted, DeletionStarted
from ledger.events.retention import (
    DeletionFailed,
    RetentionApplied,
    RetentionFailed,
    RetentionSpared,
)
from ledger.vocabulary import BackupKind
from tests.commands.invariants import require_whole
from tests.commands.world import World


def take(world: World, name: str, user_id: int | None = 1) -> None:
    take_backup(world.site, world.context(), filename=name, user_id=user_id)
    world.advance(hours=1)


@pytest.fixture
def four(world: World) -> World:
    """Four of user 1, oldest first, and one of user 2."""
    for number in range(4):
        take(world, f"{number}.db")
    take(world, "other.db", 2)
    return world


@pytest.mark.slow
def test_oldest_beyond_the_count_are_deleted_and_recorded(four: World) -> None:
    """The owner's only; the event names what stays and why, and what went."""
    by_name = {backup.filename: backup.backup_id for backup in four.present()}
    context = four.context()
    apply_retention(four.site, context, 2, 1)
    assert four.files() == {"2.db", "3.db", "other.db"}
    (event,) = four.events_of(RetentionApplied)
    assert event.details.to_facts() == {
        "scope": "1",
        "keep_count": 2,
        "keep_within_days": 0,
        "keep_daily": 0,
        "keep_weekly": 0,
        "keep_monthly": 0,
        "keep_yearly": 0,
        "kept": [
            {"backup_id": by_name["3.db"], "reasons": ["within_keep_count"]},
            {"backup_id": by_name["2.db"], "reasons": ["within_keep_count"]},
        ],
        "deleted": [
            {"backup_id": by_name["0.db"], "filename": "0.db"},
            {"backup_id": by_name["1.db"], "filename": "1.db"},
        ],
        "deleted_count": 2,
        "part": 1,
        "parts": 1,
    }
    assert (event.stream, event.user_id) == ("retention/1", "1")
    started = four.recorded(DeletionStarted)
    assert {(each.reason, each.rule, each.forced) for each in started} == {
        ("retention", "keep 2", False)
    }
    correlations = {each.correlation_id for each in four.events_of(BackupDeleted)}
    assert correlations == {context.correlation_id}
    require_whole(four.site)


def test_preview_says_what_applying_does_and_changes_nothing(four: World) -> None:
    """Plan and act are the same function."""
    with four.watched() as types:
        planned = preview_retention(four.site, four.context(), 2, 1)
    assert types == []
    applied = apply_retention(four.site, four.context(), 2, 1)
    assert applied.plan == planned.plan


def test_global_policy_covers_all_owners(four: World) -> None:
    """It must be asked for: user None."""
    apply_retention(four.site, four.context(), 1, None)
    assert four.files() == {"other.db"}
    (event,) = four.events_of(RetentionApplied)
    assert (event.stream, event.details.scope, event.user_id) == (
        "retention/global",
        "global",
        None,
    )


def test_applying_again_deletes_nothing_and_is_recorded(four: World) -> None:
    """That it was looked at is a fact as well."""
    apply_retention(four.site, four.context(), 2, 1)
    apply_retention(four.site, four.context(), 2, 1)
    assert [each.deleted_count for each in four.recorded(RetentionApplied)] == [2, 0]


@pytest.mark.parametrize("keep_count", [0, 31, -1, True, 2.0, "3", None, 2**60])
def test_wrong_count_is_refused_and_recorded(four: World, keep_count: Any) -> None:
    """Nothing is deleted, whatever somebody managed to pass."""
    with pytest.raises(InvalidKeepCount):
        apply_retention(four.site, four.context(), keep_count, 1)
    assert len(four.files()) == 5
    (event,) = four.events_of(RetentionFailed)
    assert event.details.error_type == "InvalidKeepCount"
    assert repr(keep_count) in event.error_message


def test_protected_and_held_ones_stay_beside_the_counted(world: World) -> None:
    """They take no place in the count."""
    take(world, "held.db")
    take_backup(world.site, world.context(), kind=BackupKind.PRE_MIGRATION, user_id=1)
    world.advance(hours=1)
    for number in range(3):
        take(world, f"{number}.db")
    place_hold(world.site, world.context(), "held.db", "why")
    apply_retention(world.site, world.context(), 1, 1)
    assert world.files() == {"held.db", "pre_migration_2025-01-01T01-00-00.db", "2.db"}


def test_last_good_one_is_spared_and_that_is_said(world: World) -> None:
    """All newer ones are damaged: the old good one stays, with a safety_check."""
    for number in range(3):
        take(world, f"{number}.db")
    for name in ("1.db", "2.db"):
        (world.backups / name).write_bytes(b"damaged")
    for backup in world.present():
        verify_backup(world.site, world.context(), backup, "digest")
    place_hold(world.site, world.context(), "0.db", "so that the count does not keep it")
    apply_retention(world.site, world.context(), 1, 1)
    assert "0.db" in world.files()
    take(world, "protected only.db", None)
    assert "0.db" in world.files()


def test_only_good_one_beside_a_corrupt_protected_one_is_spared(world: World) -> None:
    """Counted backups keep it; with none to count, the safety check does."""
    kept = take_backup(
        world.site, world.context(), kind=BackupKind.PRE_MIGRATION, filename="x.db", user_id=1
    )
    (world.backups / kept.filename).write_bytes(b"damaged")
    verify_backup(world.site, world.context(), kept, "digest")
    apply_retention(world.site, world.context(), 1, 1)
    assert world.recorded(RetentionSpared) == []
    assert world.files() == {"x.db"}


@pytest.mark.slow
def test_file_that_cannot_be_deleted_is_reported_and_the_rest_goes(four: World) -> None:
    """delete_error names it; it is not counted as deleted; the next check tries again."""
    path = four.backups / "0.db"
    path.unlink()
    path.mkdir()
    outcome = apply_retention(four.site, four.context(), 2, 1)
    assert len(outcome.deletions) == 2
    (applied,) = four.recorded(RetentionApplied)
    assert [each.filename for each in applied.deleted] == ["1.db"]
    assert applied.deleted_count == 1
    (failed,) = four.recorded(DeletionFailed)
    assert failed.filename == "0.db"
    path.rmdir()
    four.check()
    assert {each.filename for each in four.recorded(BackupDeleted)} == {"0.db", "1.db"}
    require_whole(four.site)


@pytest.mark.slow
def test_very_many_are_recorded_in_parts(world: World) -> None:
    """200 entries an event at most; counts are of the whole; nothing is lost."""
    for user_id in range(1, 421):
        world.configure(user_id, keep_count=1)
    world.due_again()
    world.check()
    world.advance(hours=1)
    take(world, "newest.db")
    apply_retention(world.site, world.context(), 1, None)
    parts = [each for each in world.recorded(RetentionApplied) if each.scope == "global"]
    assert [(each.part, each.parts) for each in parts] == [(1, 3), (2, 3), (3, 3)]
    assert {each.deleted_count for each in parts} == {420}
    assert sum(len(each.deleted) for each in parts) == 420
    assert sum(len(each.kept) for each in parts) == 1
    assert all(len(each.deleted) + len(each.kept) <= 200 for each in parts)
    assert world.files() == {"newest.db"}


def test_hold_placed_between_plan_and_lock_is_seen(
    four: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read model only says where to look; the decision is made on the ledger."""
    look = module._where_to_look

    def look_then_hold(*arguments: Any, **options: Any) -> Any:
        found = look(*arguments, **options)
        place_hold(four.site, four.context(), "0.db", "just in time")
        return found

    monkeypatch.setattr(module, "_where_to_look", look_then_hold)
    apply_retention(four.site, four.context(), 1, 1)
    assert four.files() == {"0.db", "3.db", "other.db"}


@pytest.mark.slow
def test_backup_taken_between_plan_and_lock_counts(
    four: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two processes neither deletes what the other has just made."""
    look = module._where_to_look

    def look_then_take(*arguments: Any, **options: Any) -> Any:
        found = look(*arguments, **options)
        take(four, "newest.db")
        return found

    monkeypatch.setattr(module, "_where_to_look", look_then_take)
    apply_retention(four.site, four.context(), 1, 1)
    assert four.files() == {"newest.db", "other.db"}


def test_flood_of_new_backups_cannot_push_out_the_young_good_ones(four: World) -> None:
    """keep_within_days keeps everything younger as well."""
    four.close()
    four.open("act", keep_within_days=1)
    four.advance(hours=19)  # 0.db is a day old now
    apply_retention(four.site, four.context(), 1, 1)
    assert four.files() == {"1.db", "2.db", "3.db", "other.db"}
    assert {each.rule for each in four.recorded(DeletionStarted)} == {"keep 1, 1 days"}


@pytest.mark.slow
def test_other_stores_backups_are_not_judged(four: World) -> None:
    """Two folders, one ledger: each folder's retention sees its own."""
    ledger = str(four.backups / "ledger.sqlite")
    other = four.folder / "second"
    configuration = Configuration(database=four.database, backups=other, ledger=ledger)
    begin(configuration, four.clock, new=True)
    second = open_site(configuration, "act", clock=four.clock)
    four.sites.append(second)
    assert apply_retention(second, four.context(), 1, None).deletions == ()
    assert len(four.files()) == 5


@pytest.mark.slow
def test_a_clock_that_ran_ahead_once_costs_no_later_backup(world: World) -> None:
    """What it dated takes no place, and goes when its time by position has come."""
    world.configure(1, keep_count=2)
    today = world.clock.now()
    world.move_to(today + timedelta(days=20))
    take(world, "ahead.db")
    world.move_to(today)
    for number in range(3):
        take(world, f"{number}.db")
        apply_retention(world.site, world.context(), 2, 1)
        assert f"{number}.db" in world.files()
    world.advance(days=2)
    take(world, "3.db")
    apply_retention(world.site, world.context(), 2, 1)
    assert world.files() == {"2.db", "3.db"}


@pytest.mark.parametrize(
    ("mtime", "left"),
    [
        (datetime(2030, 1, 1, tzinfo=UTC), {"adopted.db", "1.db", "2.db"}),
        (datetime(1999, 1, 1, tzinfo=UTC), {"1.db", "2.db"}),
        (datetime(2025, 1, 1, 0, 30, tzinfo=UTC), {"1.db", "2.db"}),
        (datetime(2025, 1, 1, 1, 30, tzinfo=UTC), {"adopted.db", "2.db"}),
    ],
)
def test_an_adopted_file_stands_where_its_time_is(
    world: World, mtime: datetime, left: set[str]
) -> None:
    """Of the future: found last, and not counted. Of the past: among those of its time."""
    world.configure(1, enabled=False)
    for number in range(3):
        take(world, f"{number}.db")
    path = world.backups / "adopted.db"
    path.write_bytes((world.backups / "0.db").read_bytes())
    os.utime(path, (mtime.timestamp(), mtime.timestamp()))
    reconcile(world.site, world.context())
    apply_retention(world.site, world.context(), 2, None)
    assert world.files() == left


def test_a_run_never_deletes_what_it_has_just_made(world: World) -> None:
    """However many files with later dates were found before its retention."""
    world.configure(1, keep_count=1)
    world.due_again()
    assert world.check().completed == 1
    (made,) = world.present(1)
    order = Order(1, 1, made.run_id)
    take(world, "later.db")
    known = module._where_to_look(world.site, [order])
    with world.site.ledger.engine.connect() as connection:
        ledger = module._Ledger.of(world.site, connection)
        outcome = module._planned(world.site, world.context(), order, known, ledger)
    assert outcome.deletions == ()
    assert {each.reasons for each in outcome.plan.kept} == {("within_keep_count",), ("just_made",)}
