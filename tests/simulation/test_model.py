"""The simulation, held to cases that can be worked out by hand."""

from __future__ import annotations

import pytest

from commands.runs.batches import TOGETHER
from tests.simulation.model import (
    CHECK_SECONDS,
    ENDS,
    LEASE_SECONDS,
    Costs,
    Loss,
    Night,
    at_share,
)

COSTS = Costs(hold=0.001, hold_event=0.0, run=0.010, snapshot=0.5)


def test_one_scheduler_does_some_users_after_the_others() -> None:
    """A claim, a snapshot, an entry; then those who end together, each for what a run takes."""
    lateness = Night(2 * TOGETHER, 1, COSTS).run()
    assert len(lateness) == 2 * TOGETHER
    begun = 0.001 + 0.5 + 0.001
    assert lateness[0] == lateness[TOGETHER - 1] == pytest.approx(begun + TOGETHER * 0.010)
    assert lateness[-1] == pytest.approx(begun + 2 * TOGETHER * 0.010)


def test_nobody_due_means_nothing_done() -> None:
    """No users, no lateness; and it ends."""
    assert Night(0, 3, COSTS).run() == []


@pytest.mark.parametrize("users", [1, 999, 1_000, 1_001, 5_000])
@pytest.mark.parametrize("schedulers", [1, 3, 40])
def test_every_user_is_done_once_whatever_the_numbers(users: int, schedulers: int) -> None:
    """Nobody is left, and nobody is done before being due."""
    night = Night(users, schedulers, COSTS, spread_seconds=30)
    lateness = night.run()
    assert set(night.done) == set(range(1, users + 1))
    assert lateness[0] > 0


def test_more_schedulers_are_faster_until_the_head_is_busy_all_the_time() -> None:
    """The head is what they share: its time is the limit that no number of them passes."""
    costs = Costs(hold=0.001, hold_event=0.0002, run=0.003, snapshot=0.5)
    last = [Night(20_000, number, costs).run()[-1] for number in (1, 4, 10, 40)]
    assert last[0] > last[1] > last[2]
    busy = 20_000 * (sum(ENDS) + 2) * costs.hold_event
    assert last[2] >= busy
    assert last[3] >= busy


def test_users_that_are_spread_over_an_hour_are_not_late() -> None:
    """Each waits for the next check at most, and for those of the same minute."""
    lateness = Night(10_000, 2, COSTS, spread_seconds=3_600).run()
    assert lateness[-1] < 2 * CHECK_SECONDS


def test_work_of_those_who_went_away_is_done_by_the_others_after_the_lease() -> None:
    """Their open runs wait for the lease and a retry; all of them are done in the end."""
    costs = Costs(hold=0.0001, hold_event=0.0, run=1.0, snapshot=0.0)
    night = Night(3_000, 3, costs, loss=Loss(share=0.4, at=100.0))
    lateness = night.run()
    assert set(night.done) == set(range(1, 3_001))
    assert lateness[-1] > 100.0 + LEASE_SECONDS
    assert at_share(lateness, 0.5) < lateness[-1]


def test_the_same_night_twice_is_the_same() -> None:
    """Nothing depends on chance that is not seeded."""
    nights = [Night(2_500, 7, COSTS, 60, Loss(0.3, 20.0)).run() for _ in range(2)]
    assert nights[0] == nights[1]
