"""Clocks that jump: what is said, what is kept, and that each slot runs once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from commands.backups.take import take_backup
from commands.errors import Refused
from commands.retention.apply import apply_retention
from commands.retention.cleanup import clean_up_old_protected
from ledger.events.housekeeping import ClockJumped
from ledger.events.scheduling import BackupCompleted, SlotsMissed
from ledger.vocabulary import BackupKind
from tests.commands.world import World

UNIX = datetime(1970, 1, 1, 3, 0, 40, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = {"daily": 5, "weekly": 22, "monthly": 65}
"""Two slots or more of each."""


def run_days(world: World, days: int) -> None:
    for _ in range(days):
        world.advance(days=1)
        world.check()


def slots_run(world: World) -> Counter[datetime]:
    return Counter(each.slot for each in world.recorded(BackupCompleted))


@pytest.mark.slow
@pytest.mark.parametrize("frequency", DAYS)
@pytest.mark.parametrize("stays", [False, True])
def test_a_clock_that_begins_in_1970_says_nothing_false(
    world: World, frequency: str, stays: bool
) -> None:
    """No slot is missed since 1970, none runs twice, and the rhythm stays as it was."""
    world.configure(1, frequency=frequency, backup_time="03:00", keep_count=2)
    world.advance(hours=4)
    world.check()
    run_days(world, DAYS[frequency])
    before, present = world.clock.now(), world.schedule().next_slot
    assert present is not None
    world.move_to(UNIX)
    world.check()
    run_days(world, DAYS[frequency] if stays else 0)
    world.move_to(before + timedelta(hours=1))
    world.check()
    assert world.schedule().next_slot == present
    run_days(world, DAYS[frequency])
    assert world.recorded(SlotsMissed) == []
    assert set(slots_run(world).values()) == {1}
    recent = sorted(slot for slot in slots_run(world) if slot.year > 1970)
    steps = {later - earlier for earlier, later in pairwise(recent)}
    assert len(steps) == 1
    assert [each.now.year for each in world.recorded(ClockJumped)][:1] == [1970]


@pytest.mark.slow
def test_a_clock_that_was_ahead_once_and_is_behind_later_runs_no_slot_twice(world: World) -> None:
    """The slot that it stood at is still to come, and is restored."""
    world.configure(1, backup_time="03:00", keep_count=2)
    world.advance(hours=4)
    world.check()
    before = world.clock.now()
    world.move_to(before + 800 * DAY)
    world.check()
    world.move_to(before + timedelta(hours=1))
    world.check()
    run_days(world, 2)
    before, present = world.clock.now(), world.schedule().next_slot
    world.move_to(before - 400 * DAY)
    world.check()
    world.move_to(before + timedelta(hours=1))
    world.check()
    assert world.schedule().next_slot == present
    run_days(world, 2)
    assert set(slots_run(world).values()) == {1}
    assert world.recorded(SlotsMissed) == []
    before, present = world.clock.now(), world.schedule().next_slot
    world.move_to(before - 400 * DAY)
    world.check()
    world.move_to(before + timedelta(days=1, hours=1))  # the slot has come meanwhile, and another
    world.check()
    assert present is not None
    assert slots_run(world)[present] + sum(each.count for each in world.recorded(SlotsMissed)) == 1


def test_a_schedule_that_was_made_in_1970_missed_nothing_either(world: World) -> None:
    """A new machine gets the time after its first settings were made."""
    world.move_to(UNIX)
    world.configure(1, keep_count=2)
    world.move_to(datetime(2026, 11, 30, 3, 0, 20, tzinfo=UTC))
    assert world.check().completed == 1
    assert world.recorded(SlotsMissed) == []
    assert world.schedule().next_slot == datetime(2026, 12, 1, 3, tzinfo=UTC)


def test_two_months_off_are_no_jump(world: World) -> None:
    """What was missed runs at once, and is named."""
    world.configure(1)
    world.due_again()
    world.check()
    world.advance(days=60)
    assert world.check().completed == 1
    (missed,) = world.recorded(SlotsMissed)
    assert missed.count == 59
    assert world.recorded(ClockJumped) == []


@pytest.mark.slow
def test_nothing_is_deleted_by_age_while_the_clock_is_in_doubt(world: World) -> None:
    """Backups go on; a day later retention catches up."""
    world.configure(1, keep_count=1)
    world.due_again()
    world.check()
    take_backup(world.site, world.context(), kind=BackupKind.PRE_MIGRATION)
    today = world.clock.now()
    world.move_to(today + 700 * DAY)
    world.check()
    assert len(world.present(1)) == 2
    with pytest.raises(Refused, match="nothing is deleted by age"):
        clean_up_old_protected(world.site, world.context(), 90)
    assert apply_retention(world.site, world.context(), 1, 1).deleted == ()
    world.move_to(today + timedelta(hours=2))
    world.check()
    world.due_again()
    world.check()
    assert len(world.present(1)) == 3
    for _ in range(3):
        world.due_again()
        world.check()
    assert len(world.present(1)) == 1
