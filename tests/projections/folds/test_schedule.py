"""What a user's schedule adds up to, by example."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.append.ledger import Draft
from ledger.events.scheduling import (
    BackupAbandoned,
    BackupCompleted,
    BackupFailed,
    BackupStarted,
    SchedulePaused,
    ScheduleResumed,
    SettingsCreated,
    SettingsRejected,
    SettingsUpdated,
    SlotsMissed,
)
from ledger.vocabulary import MAX_RETRIES
from projections.folds.schedule import Schedule, evolve_schedule
from tests.projections.events_of_streams import at, folded
from tests.sample_events import draft, event, uuid_of

SLOT = datetime(2025, 1, 13, 3, 0, tzinfo=UTC)
NEXT = SLOT + timedelta(days=1)
RETRY = SLOT + timedelta(minutes=1)
RUN = uuid_of(50)
CREATED = draft(SettingsCreated, next_backup_at=SLOT)
CLAIM = draft(BackupStarted, event_id=RUN, slot=SLOT)


def fold(*drafts: Draft | tuple[datetime, Draft]) -> Any:
    return folded(evolve_schedule, *drafts)


def failed(attempt: int, next_backup_at: datetime | None, kind: Any = BackupFailed) -> Draft:
    return draft(kind, run_id=RUN, slot=SLOT, attempt=attempt, next_backup_at=next_backup_at)


def next_of(schedule: Schedule) -> tuple[datetime | None, datetime | None, int]:
    return schedule.next_backup_at, schedule.next_slot, schedule.next_attempt


def test_first_settings_make_a_schedule() -> None:
    """With its first run ahead, at the slot it is for."""
    schedule = fold(at(SLOT - timedelta(hours=1), CREATED))
    assert (schedule.user_id, schedule.enabled, schedule.frequency) == (1, True, "daily")
    assert (schedule.backup_time, schedule.keep_count, schedule.timezone) == ("03:00", 7, "UTC")
    assert next_of(schedule) == (SLOT, SLOT, 1)
    assert schedule.created_at == schedule.updated_at == SLOT - timedelta(hours=1)
    assert schedule.last_backup_at is None
    assert (schedule.paused, schedule.failures, schedule.open_run_id) == (False, 0, None)


def test_a_run_that_is_put_off_keeps_its_slot() -> None:
    """With spread_seconds the run comes later than the slot that it is for."""
    schedule = fold(draft(SettingsCreated, next_backup_at=SLOT + timedelta(minutes=7)))
    assert next_of(schedule) == (SLOT + timedelta(minutes=7), SLOT, 1)


def test_a_slot_is_nominal_in_the_users_zone() -> None:
    """03:00 in Berlin is 02:00 UTC in winter."""
    ahead = datetime(2025, 1, 14, 2, 10, tzinfo=UTC)
    schedule = fold(draft(SettingsCreated, timezone="Europe/Berlin", next_backup_at=ahead))
    assert schedule.next_slot == ahead - timedelta(minutes=10)


def test_disabled_settings_expect_no_run() -> None:
    """Neither a time nor a slot."""
    schedule = fold(draft(SettingsCreated, enabled=False, next_backup_at=None))
    assert (schedule.enabled, *next_of(schedule)) == (False, None, None, 1)


def test_a_rejected_first_setting_is_no_schedule() -> None:
    """The stream has events, the user has no settings; the next one that holds makes them."""
    assert fold(draft(SettingsRejected)) is None
    schedule = fold(draft(SettingsRejected), draft(SettingsRejected), CREATED)
    assert schedule.stream_version == 3


def test_settings_that_are_made_twice_keep_their_place() -> None:
    """The id is the order of creation, and two users cannot have the same one."""
    first = fold(CREATED)
    first.id = 7
    again = evolve_schedule(first, event(draft(SettingsCreated, keep_count=3), 2))
    assert again is not None
    assert (again.id, again.keep_count, again.stream_version) == (7, 3, 2)


def test_a_rejected_change_changes_nothing_but_the_version() -> None:
    """A claim on the version before it would lose, as it should."""
    before, after = fold(CREATED), fold(CREATED, draft(SettingsRejected))
    assert after.stream_version == before.stream_version + 1
    after.stream_version = before.stream_version
    assert after == before


def test_a_claim_opens_a_run() -> None:
    """What was expected stays as it is until the run's end."""
    schedule = fold(CREATED, CLAIM, draft(SlotsMissed))
    assert schedule.open_run_id == RUN
    assert next_of(schedule) == (SLOT, SLOT, 1)
    assert schedule.stream_version == 3


def test_a_completed_run_is_the_last_backup() -> None:
    """At the time of its event; failures are forgotten."""
    done = SLOT + timedelta(seconds=9)
    schedule = fold(
        CREATED,
        failed(1, RETRY),
        failed(2, RETRY),
        CLAIM,
        at(done, draft(BackupCompleted, run_id=RUN, next_backup_at=NEXT)),
    )
    assert schedule.last_backup_at == done
    assert (schedule.open_run_id, schedule.failures) == (None, 0)
    assert next_of(schedule) == (NEXT, NEXT, 1)


@pytest.mark.parametrize("kind", [BackupFailed, BackupAbandoned])
@pytest.mark.parametrize("attempt", range(1, MAX_RETRIES + 1))
def test_a_failed_attempt_leads_to_the_next_one_of_the_same_slot(kind: Any, attempt: int) -> None:
    """A claim whose owner is gone counts as an attempt too."""
    schedule = fold(CREATED, CLAIM, failed(attempt, RETRY, kind))
    assert next_of(schedule) == (RETRY, SLOT, attempt + 1)
    assert (schedule.open_run_id, schedule.failures) == (None, 1)


@pytest.mark.parametrize("kind", [BackupFailed, BackupAbandoned])
def test_after_the_last_retry_comes_the_next_slot(kind: Any) -> None:
    """Its first attempt; the failures stay counted."""
    schedule = fold(CREATED, failed(5, RETRY, kind), CLAIM, failed(6, NEXT, kind))
    assert next_of(schedule) == (NEXT, NEXT, 1)
    assert schedule.failures == 2


def test_a_failure_of_settings_that_were_disabled_meanwhile_has_no_retry() -> None:
    """Nothing is expected any more."""
    off = draft(SettingsUpdated, after={"enabled": False}, next_backup_at=None)
    schedule = fold(CREATED, CLAIM, off, failed(1, None))
    assert next_of(schedule) == (None, None, 1)


def test_a_change_of_settings_changes_the_fields_concerned() -> None:
    """And the time of the change; what was created when stays."""
    later = SLOT + timedelta(days=3)
    change = draft(SettingsUpdated, after={"keep_count": 3}, next_backup_at=SLOT)
    schedule = fold(at(SLOT, CREATED), at(later, change))
    assert (schedule.keep_count, schedule.frequency, schedule.enabled) == (3, "daily", True)
    assert (schedule.created_at, schedule.updated_at) == (SLOT, later)


def test_a_change_that_leaves_the_time_alone_keeps_a_retry() -> None:
    """Keeping fewer backups does not make a second attempt a first one."""
    change = draft(SettingsUpdated, after={"keep_count": 3}, next_backup_at=RETRY)
    schedule = fold(CREATED, CLAIM, failed(2, RETRY), change)
    assert next_of(schedule) == (RETRY, SLOT, 3)


def test_a_change_of_the_time_ends_a_retry() -> None:
    """What is expected then is the first attempt of another slot."""
    noon = SLOT.replace(hour=12)
    change = draft(SettingsUpdated, after={"backup_time": "12:00"}, next_backup_at=noon)
    schedule = fold(CREATED, CLAIM, failed(2, RETRY), change)
    assert next_of(schedule) == (noon, noon, 1)
    assert schedule.failures == 1


def test_a_pause_and_its_end() -> None:
    """Both are changes; whether a run is expected is what the event says."""
    later = SLOT + timedelta(hours=1)
    paused = fold(at(SLOT, CREATED), at(later, draft(SchedulePaused, next_backup_at=SLOT)))
    assert (paused.paused, paused.updated_at, paused.next_backup_at) == (True, later, SLOT)
    resumed = fold(
        CREATED,
        draft(SchedulePaused, next_backup_at=SLOT),
        draft(ScheduleResumed, next_backup_at=NEXT),
    )
    assert (resumed.paused, *next_of(resumed)) == (False, NEXT, NEXT, 1)


def test_a_pause_keeps_a_retry_and_the_run_that_is_open() -> None:
    """It holds nothing up that has begun."""
    pause = draft(SchedulePaused, next_backup_at=RETRY)
    schedule = fold(CREATED, failed(2, RETRY), CLAIM, pause)
    assert schedule.open_run_id == RUN
    assert next_of(schedule) == (RETRY, SLOT, 3)


def test_every_event_counts_in_the_streams_version() -> None:
    """A row tells a claim which version to expect."""
    drafts = [CREATED, CLAIM, failed(1, RETRY), draft(SchedulePaused), draft(SlotsMissed)]
    versions = [fold(*drafts[:count]).stream_version for count in range(1, 6)]
    assert versions == [1, 2, 3, 4, 5]
