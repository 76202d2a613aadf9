"""The newest of days, ISO weeks, months and years, by example and for three years of backups."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from commands.retention.periods import Keep, kept_by_period
from ledger.events.retention import RetentionApplied
from tests.commands.world import World

LAST = date(2025, 1, 13)
DAYS = [(str(number), (LAST - timedelta(days=number)).isoformat()) for number in range(1_100)]


def test_each_period_keeps_its_newest() -> None:
    """ISO weeks begin on Monday; a year's newest is its last."""
    kept = kept_by_period(DAYS, Keep(daily=2, weekly=2, monthly=2, yearly=3))
    by_reason = {
        reason: [DAYS[int(backup)][1] for backup, why in kept.items() if reason in why]
        for reason in ("daily", "weekly", "monthly", "yearly")
    }
    assert by_reason == {
        "daily": ["2025-01-13", "2025-01-12"],
        "weekly": ["2025-01-13", "2025-01-12"],
        "monthly": ["2025-01-13", "2024-12-31"],
        "yearly": ["2025-01-13", "2024-12-31", "2023-12-31"],
    }


def test_days_without_a_backup_take_no_place() -> None:
    """So many days that have one, however far apart."""
    kept = kept_by_period(
        [("a", "2025-01-13"), ("b", "2024-06-01"), ("c", "2020-01-01")], Keep(daily=2)
    )
    assert kept == {"a": ["daily"], "b": ["daily"]}


@pytest.mark.slow
def test_a_year_of_runs_keeps_what_the_schedule_says(world: World) -> None:
    """A count of two, four weeks and three months; the event says the rule and each reason."""
    world.configure(1, keep_count=2, keep_weekly=4, keep_monthly=3)
    for _ in range(100):
        world.due_again()
        world.check()
    days = sorted(backup.created_at.date().isoformat() for backup in world.present(1))
    assert days == [
        "2025-02-28",
        "2025-03-23",
        "2025-03-30",
        "2025-03-31",
        "2025-04-06",
        "2025-04-09",
        "2025-04-10",
    ]
    applied = world.recorded(RetentionApplied)[-1]
    assert (applied.keep_count, applied.keep_weekly, applied.keep_monthly) == (2, 4, 3)
    assert applied.kept[0].reasons == ["within_keep_count", "just_made", "weekly", "monthly"]
