"""What is due for verification: pure rules, over made-up times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from commands.verification.plan import (
    Evidence,
    Examined,
    drills_today,
    due_level,
    is_in_part,
    least_today,
    planned_days,
)
from ledger.vocabulary import Level
from projections.folds.backup import Backup

NOW = datetime(2025, 6, 15, 12, tzinfo=UTC)
DAYS: dict[Level, int] = {"digest": 7, "integrity": 14, "drill": 30}


def backup(backup_id: str, shared_with: str | None = None) -> Backup:
    return Backup(
        backup_id=backup_id,
        filename=f"{backup_id}.db",
        store="store",
        kind="manual",
        size=1,
        sha256="0" * 64,
        status="ok",
        is_protected=False,
        created_at=NOW,
        shared_with=shared_with,
    )


def entered(days_ago: float, backup_id: str = "one", shared_with: str | None = None) -> Examined:
    """A backup that entered the catalog some days ago, as good."""
    when = NOW - timedelta(days=days_ago)
    evidence = Evidence(when)
    evidence.found_good("integrity", when)
    return Examined(backup(backup_id, shared_with), evidence)


@pytest.mark.parametrize(
    ("days_ago", "expected"),
    [(6, None), (7, "digest"), (13, "digest"), (14, "integrity"), (29, "integrity"), (30, "drill")],
)
def test_the_strongest_level_that_is_over_is_due(days_ago: int, expected: Level | None) -> None:
    """To the second: an interval of 7 days is over after 7 days."""
    assert due_level(entered(days_ago).evidence, DAYS, NOW) == expected


def test_a_stronger_level_counts_for_the_weaker_and_not_the_other_way() -> None:
    evidence = entered(100).evidence
    evidence.found_good("digest", NOW)
    assert due_level(evidence, DAYS, NOW) == "drill"
    evidence.found_good("drill", NOW - timedelta(days=8))
    assert due_level(evidence, DAYS, NOW) == "digest"


def test_no_days_mean_never() -> None:
    assert due_level(entered(9_999).evidence, dict.fromkeys(DAYS, 0), NOW) is None
    assert drills_today([entered(9_999)], 0, NOW) == []


def test_parts_cover_everything_once_and_keep_shared_files_together() -> None:
    """Whatever the number of parts, and the same on every machine."""
    entries = [backup(f"id-{number}") for number in range(200)]
    for parts in (1, 2, 7, 200):
        taken = [
            sum(is_in_part(each, part, parts) for part in range(1, parts + 1)) for each in entries
        ]
        assert taken == [1] * len(entries)
    sizes = [sum(is_in_part(each, part, 4) for each in entries) for part in range(1, 5)]
    assert min(sizes) > 25
    assert is_in_part(backup("x", "id-3"), 1, 2) == is_in_part(backup("id-3"), 1, 2)


@pytest.mark.parametrize(
    ("days_left", "done", "expected"),
    [
        ([], 0, 0),
        ([1], 0, 1),
        ([2], 0, 0),
        ([30] * 30, 0, 1),
        ([30] * 29, 1, 0),
        ([30] * 29, 0, 0),
        ([1, 1, 1], 0, 3),
        ([3] * 9, 0, 3),
        ([3] * 8, 1, 2),
        ([1, 4, 4, 4, 4, 4, 4], 0, 1),
    ],
)
def test_as_few_as_no_later_day_has_to_pay_for(
    days_left: list[int], done: int, expected: int
) -> None:
    assert least_today(days_left, done) == expected


def test_whatever_comes_nothing_is_late_and_the_busiest_day_is_the_least_possible() -> None:
    """Against the lower bound that no schedule can beat: jobs up to a deadline over its days."""
    random = Random(7)
    for _ in range(200):
        deadlines = sorted(random.randint(1, 12) for _ in range(random.randint(1, 40)))
        bound = max(-(-(at + 1) // day) for at, day in enumerate(deadlines))
        for day in range(12):
            taken = least_today([each - day for each in deadlines], 0)
            assert taken <= bound
            deadlines = deadlines[taken:]
            assert not deadlines or deadlines[0] > day + 1
        assert deadlines == []


def test_the_oldest_are_drilled_first_and_a_day_is_not_begun_twice() -> None:
    """A flood of backups that came together is spread over the days that are left."""
    period = planned_days(30)
    flood = [entered(0, f"flood-{number:03}") for number in range(10 * period - 1)]
    old = entered(period, "old")
    first = drills_today([*flood, old], 30, NOW)
    assert first[0] == "old"
    assert len(first) == 10
    by_id = {each.shared_file: each for each in [*flood, old]}
    for name in first[:4]:
        by_id[name].evidence.found_good("drill", NOW)
    assert drills_today([*flood, old], 30, NOW) == first[4:]
    for name in first[4:]:
        by_id[name].evidence.found_good("drill", NOW)
    assert drills_today([*flood, old], 30, NOW) == []
    assert len(drills_today([*flood, old], 30, NOW + timedelta(days=1))) <= 11
    assert len(drills_today([*flood, old], 30, NOW + timedelta(days=period))) >= 200


def test_entries_on_one_file_are_one_drill() -> None:
    """It waits for the entry that waits longest; one that was not drilled keeps it waiting."""
    shared = [entered(40, "first"), entered(40, "second", "first")]
    assert drills_today(shared, 30, NOW) == ["first"]
    shared[0].evidence.found_good("drill", NOW)
    assert drills_today(shared, 30, NOW) == ["first"]
    shared[1].evidence.found_good("drill", NOW)
    assert drills_today(shared, 30, NOW) == []
