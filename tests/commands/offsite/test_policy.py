"""What a destination keeps, and from when on something may be deleted there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from commands.offsite.errors import DestinationRefused
from commands.offsite.policy import Policy
from ledger.vocabulary import GRACE_HOURS
from tests.sample_events import NOW


def test_without_settings_every_copy_is_kept() -> None:
    policy = Policy.of_values({})
    assert policy.keep_count is None
    assert policy.grace == timedelta(hours=GRACE_HOURS)
    assert policy.not_before(NOW) == NOW + policy.grace


def test_a_rule_says_what_is_kept() -> None:
    policy = Policy.of_values({"keep": 7, "keep_daily": 30, "keep_yearly": 2})
    assert policy.rule == "keep 7, daily 30, yearly 2"


def test_zero_takes_a_setting_back() -> None:
    assert Policy.of_values({"keep": 0, "keep_daily": 0}).keep_count is None


def test_nothing_goes_before_its_lock_ends() -> None:
    """By the hour, so that what was put there in one night goes at once."""
    policy = Policy.of_values({"lock_days": 30})
    put_at = (NOW - timedelta(days=10)).timestamp()
    moment = policy.not_before(NOW, put_at)
    ends = NOW + timedelta(days=20)
    assert ends <= moment < ends + timedelta(hours=1)
    assert (moment.minute, moment.second) == (0, 0)
    assert policy.not_before(NOW, (NOW - timedelta(days=40)).timestamp()) == NOW + policy.grace
    assert policy.promise == timedelta(days=15)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"keep": 31}, "use 1 to 30"),
        ({"keep_weekly": 4}, "keep_weekly adds to a count"),
        ({"keep": 1, "grace_hours": -1}, "grace_hours is negative"),
        ({"promise_days": 5}, "must be below lock_days"),
        ({"lock_days": 5, "promise_days": 5}, "must be below lock_days"),
    ],
)
def test_what_contradicts_itself_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(DestinationRefused, match=message):
        Policy.of_values(values)
