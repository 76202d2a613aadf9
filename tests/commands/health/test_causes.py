"""Many failed runs are told as few causes, and what waits is run at once."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from commands.backups.take import take_backup
from commands.health.causes import causes_of_failures, on_days
from commands.health.facts import status_facts
from commands.runs.run_now import run_now
from tests.commands.conftest import MakeWorld
from tests.commands.world import World


def night(world: World, *, is_away: bool) -> None:
    """The runs of a day and a retry, with the database there or not."""
    hidden = world.folder / "elsewhere.db"
    if is_away:
        world.database.rename(hidden)
    for _ in range(2):
        world.advance(minutes=90)
        world.check()
    if is_away:
        hidden.rename(world.database)
    world.advance(hours=21)


@pytest.mark.slow
def test_runs_that_failed_for_one_reason_are_one_cause(make_world: MakeWorld) -> None:
    """How many runs of how many users, on which days, and whether it is over."""
    world = make_world()
    for user in (1, 2, 3):
        world.configure(user, backup_time="00:30")
    night(world, is_away=False)
    for _ in range(2):
        night(world, is_away=True)
    (cause,) = status_facts(world.site, world.clock.now())["causes"]
    assert (cause["users"], cause["still_failing"]) == (3, 3)
    assert cause["runs"] >= 6
    assert cause["user_ids"] == [1, 2, 3]
    said = f"{cause['runs']} runs of 3 users failed on 2 and 3 January, for one cause: "
    assert cause["sentence"].startswith(said + "there is no database")
    done = run_now(world.site, world.context())
    assert done.completed + done.taken == 3
    night(world, is_away=False)
    with world.site.read_models.reading() as connection:
        (over,) = causes_of_failures(connection, world.clock.now())
        assert over.is_over
        assert [each.users for each in causes_of_failures(connection, world.clock.now(), 2)] == [1]
        assert causes_of_failures(connection, world.clock.now() + timedelta(days=40)) == []


def test_what_waits_for_its_retry_is_run_before_its_time(make_world: MakeWorld) -> None:
    """It is the run itself: its slot, its next attempt; who has nothing to wait for is left out."""
    world = make_world()
    world.configure(1)
    world.configure(2, backup_time="20:00")
    world.due_again(1)
    hidden = world.database.rename(world.folder / "elsewhere.db")
    world.check()
    hidden.rename(world.database)
    before = world.schedule(1)
    done = run_now(world.site, world.context())
    assert (done.completed, done.failed, done.taken) == (1, 0, 0)
    after = world.schedule(1)
    assert (before.failures, after.failures) == (1, 0)
    assert after.next_slot == before.next_slot + timedelta(days=1) if before.next_slot else False
    assert run_now(world.site, world.context()).completed == 0
    assert take_backup(world.site, world.context()).status == "ok"


def test_days_are_told_as_people_tell_them() -> None:
    first = date(2025, 11, 8)
    week = [first + timedelta(days=number) for number in range(7)]
    assert on_days(week[:1]) == "on 8 November"
    assert on_days(week[:2]) == "on 8 and 9 November"
    assert on_days(week) == "from 8 to 14 November"
    assert on_days([week[0], *week[3:]]) == "on 5 days from 8 to 14 November"
    assert on_days([date(2025, 12, 31), date(2026, 1, 1)]) == "on 31 December 2025 and 1 January"
