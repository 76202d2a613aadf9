"""When rules delete a backup or a copy, at the latest; and when no rule does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from commands.erasure.lifetime import lifetime_of_backup, lifetime_of_copy
from ledger.clock import format_instant
from projections.folds.backup import Backup
from projections.folds.offsite_copy import OffsiteCopy
from projections.folds.offsite_destination import Destination
from projections.folds.schedule import Schedule
from tests.commands.world import MIDNIGHT
from tests.sample_events import REPOSITORY, SHA, SOURCE, STORE, uuid_of

NOW = MIDNIGHT + timedelta(hours=1)
DAY = timedelta(days=1)


def schedule(**changes: Any) -> Schedule:
    fields: dict[str, Any] = {
        "user_id": 1,
        "enabled": True,
        "frequency": "daily",
        "backup_time": "03:00",
        "keep_count": 3,
        "created_at": MIDNIGHT,
        "updated_at": MIDNIGHT,
        "next_backup_at": NOW + 2 * timedelta(hours=1),
    }
    return Schedule(**fields | changes)


def backup(number: int = 1, **changes: Any) -> Backup:
    fields: dict[str, Any] = {
        "backup_id": uuid_of(number),
        "filename": f"{number}.db",
        "store": STORE,
        "kind": "scheduled",
        "size": 1,
        "sha256": SHA,
        "status": "ok",
        "is_protected": False,
        "created_at": MIDNIGHT,
        "user_id": 1,
        "source": SOURCE,
        "position": number,
    }
    return Backup(**fields | changes)


def held(until: str | None) -> list[dict[str, Any]]:
    return [{"hold_id": uuid_of(9), "reason": "r", "until": until, "placed_by": {}}]


def test_the_newest_goes_when_as_many_newer_ones_are_there() -> None:
    """Tonight's, and the two after it, displace it."""
    found = lifetime_of_backup(backup(), [backup()], schedule(), NOW)
    assert found.gone_by == NOW + timedelta(hours=2) + 2 * DAY
    assert found.why == "user 1's retention, keep 3"
    others = [backup(), backup(2), backup(3)]
    soon = lifetime_of_backup(backup(), others, schedule(), NOW).gone_by
    assert soon == MIDNIGHT + DAY  # one is missing, and it is tonight's; never before a step


@pytest.mark.parametrize(
    ("keep", "days"),
    [
        ({"keep_within_days": 30}, 30),
        ({"keep_daily": 14}, 14),
        ({"keep_weekly": 4}, 28),
        ({"keep_monthly": 12}, 372),
        ({"keep_yearly": 3}, 1_098),
    ],
)
def test_periods_keep_it_longer(keep: dict[str, int], days: int) -> None:
    """Not less than the days that they are about, and at most a step and a day more."""
    found = lifetime_of_backup(backup(), [backup()], schedule(**keep), NOW)
    assert found.gone_by is not None
    assert timedelta(days=days) <= found.gone_by - MIDNIGHT <= timedelta(days=days + 2)


def test_a_hold_with_an_end_keeps_it_until_then() -> None:
    """And one run more."""
    end = NOW + 100 * DAY
    found = lifetime_of_backup(backup(holds=held(format_instant(end))), [backup()], schedule(), NOW)
    assert found.gone_by == end + DAY


@pytest.mark.parametrize(
    ("changes", "settings", "why"),
    [
        ({"holds": held(None)}, {}, "held without an end"),
        ({"is_protected": True}, {}, "it is protected"),
        ({}, None, "no schedule's retention"),
        ({}, {"enabled": False, "next_backup_at": None}, "does not run"),
        ({}, {"paused": True, "next_backup_at": None}, "does not run"),
        ({"condition": "flawed"}, {}, "not good"),
    ],
)
def test_what_only_a_person_deletes_has_no_date(
    changes: dict[str, Any], settings: dict[str, Any] | None, why: str
) -> None:
    """It says why."""
    plan = None if settings is None else schedule(**settings)
    found = lifetime_of_backup(backup(**changes), [backup(**changes)], plan, NOW)
    assert found.gone_by is None
    assert why in found.why


def destination(**changes: Any) -> Destination:
    fields: dict[str, Any] = {
        "repository_id": REPOSITORY,
        "name": "nas",
        "url": "file:///mnt/nas",
        "clear": False,
        "share": True,
        "salt": "00" * 16,
        "added_at": MIDNIGHT,
        "settings": {"keep": 3, "grace_hours": 24},
    }
    return Destination(**fields | changes)


def copy(number: int = 1) -> OffsiteCopy:
    return OffsiteCopy(
        copy_id=uuid_of(number),
        destination=REPOSITORY,
        backup_id=uuid_of(1),
        filename="1.db",
        owner="o",
        started_at=MIDNIGHT,
        source=SOURCE,
        status="ok",
        position=number,
    )


def test_a_copy_goes_by_its_destinations_rules() -> None:
    """Its retention, its grace, a lock, and old versions in the bucket."""
    plain = lifetime_of_copy(destination(), copy(), [copy()], backup(), [schedule()], NOW)
    assert plain.gone_by == NOW + 5 * DAY  # three newer ones, a day of grace, and one to collect
    assert plain.why == "the retention of nas: keep 3"
    stated = {"lock_days": 30, "versioned": True, "noncurrent_days": 7}
    locked = destination(stated=stated)
    found = lifetime_of_copy(locked, copy(), [copy()], backup(), [schedule()], NOW)
    assert found.gone_by == plain.gone_by + 37 * DAY


@pytest.mark.parametrize(
    ("changes", "plans", "why"),
    [
        ({"settings": {}}, [schedule()], "nothing deletes copies"),
        ({"status": "removed"}, [schedule()], "nothing deletes copies"),
        ({"stated": {"versioned": True}}, [schedule()], "nobody said for how long"),
        ({}, [], "no schedule runs"),
    ],
)
def test_a_copy_that_no_rule_deletes_has_no_date(
    changes: dict[str, Any], plans: list[Schedule], why: str
) -> None:
    """Nothing is guessed."""
    found = lifetime_of_copy(destination(**changes), copy(), [copy()], backup(), plans, NOW)
    assert found.gone_by is None
    assert why in found.why
