"""What a user's schedule adds up to, by example."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.append.ledger import Draft
from ledger.clock import format_instant
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
CREATED = draft(SettingsCreated, next_backup_at=SLOT, next_slot=SLOT)
CLAIM = draft(BackupStarted, event_id=RUN, slot=SLOT)


def fold(*drafts: Draft | tuple[datetime, Draft]) -> Any:
    return folded(evolve_schedule, *drafts)


def failed(attempt: int, next_backup_at: datetime | None, kind: Any = BackupFailed) -> Draft:
    next_slot = SLOT if next_backup_at == RETRY else next_backup_at
    return draft(
        kind,
        run_id=RUN,
        slot=SLOT,
        attempt=attempt,
        next_backup_at=next_backup_at,
        next_slot=next_slot,
    )


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
    """With spread_seconds the run comes later than the slot that the event names."""
    put_off = SLOT + timedelta(minutes=7)
    schedule = fold(draft(SettingsCreated, next_backup_at=put_off, next_slot=SLOT))
    assert next_of(schedule) == (put_off, SLOT, 1)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Nowhere/At_All"])
def test_a_slot_that_no_event_names_stays_unknown(zone: str) -> None:
    """An event of version 1 has none; no fold asks the machine what a zone's 03:00 is."""
    old = draft(SettingsCreated, timezone=zone, next_backup_at=SLOT, next_slot=None)
    assert next_of(fold(old)) == (SLOT, None, 1)
    assert next_of(fold(old, CLAIM)) == (SLOT, SLOT, 1)
    ended = draft(BackupCompleted, run_id=RUN, next_backup_at=NEXT, next_slot=None)
    assert next_of(fold(old, CLAIM, ended)) == (NEXT, None, 1)


@pytest.mark.parametrize(("attempt", "expected"), [(5, (RETRY, SLOT, 6)), (6, (RETRY, None, 1))])
def test_a_failure_that_names_no_slot_is_retried_but_the_last(
    attempt: int, expected: tuple[Any, ...]
) -> None:
    """As version 1 meant it."""
    old = draft(
        BackupFailed,
        run_id=RUN,
        slot=SLOT,
        attempt=attempt,
        next_backup_at=RETRY,
        next_slot=None,
    )
    assert next_of(fold(CREATED, CLAIM, old)) == expected


def test_a_failure_whose_next_slot_comes_first_has_no_retry() -> None:
    """It says so: the slot that it names is another one."""
    ended = draft(
        BackupFailed, run_id=RUN, slot=SLOT, attempt=1, next_backup_at=NEXT, next_slot=NEXT
    )
    assert next_of(fold(CREATED, CLAIM, ended)) == (NEXT, NEXT, 1)


def correction(at_before: datetime, at_after: datetime, **before: str) -> Draft:
    return draft(
        SettingsUpdated,
        before={"next_backup_at": format_instant(at_before), **before},
        after={"next_backup_at": format_instant(at_after)},
        next_backup_at=at_after,
        next_slot=at_after,
    )


def test_a_correction_remembers_where_the_next_run_was() -> None:
    """From there on slots count as missed; what a claim runs ends that the time is recomputed."""
    early = SLOT - timedelta(days=20_000)
    schedule = fold(CREATED, correction(SLOT, early))
    assert (schedule.next_slot, schedule.missed_from) == (early, SLOT)
    assert schedule.is_recomputed
    named = fold(CREATED, correction(NEXT, early, next_slot=format_instant(SLOT)))
    assert named.missed_from == SLOT
    claimed = fold(CREATED, correction(SLOT, early), draft(BackupStarted, slot=early))
    assert (claimed.missed_from, claimed.is_recomputed) == (SLOT, False)
    back = fold(CREATED, correction(SLOT, early), correction(early, SLOT))
    assert (back.next_slot, back.missed_from, back.is_recomputed) == (SLOT, SLOT, False)


def test_a_persons_change_forgets_where_a_wrong_clock_had_moved_it() -> None:
    """It is counted from now."""
    early = SLOT - timedelta(days=20_000)
    noon = SLOT.replace(hour=12)
    change = draft(
        SettingsUpdated, after={"backup_time": "12:00"}, next_backup_at=noon, next_slot=noon
    )
    schedule = fold(CREATED, correction(SLOT, early), change)
    assert (schedule.missed_from, schedule.is_recomputed) == (None, False)


def test_the_day_of_calendar_months_is_that_of_the_last_change() -> None:
    """And stays where a change leaves the time alone."""
    created = draft(SettingsCreated, next_backup_at=SLOT, next_slot=SLOT, anchor_day=31)
    other = draft(SettingsUpdated, after={"keep_count": 3}, next_backup_at=SLOT, next_slot=SLOT)
    assert fold(created, other).anchor_day == 31
    resumed = draft(ScheduleResumed, next_backup_at=NEXT, next_slot=NEXT, anchor_day=14)
    assert fold(created, resumed).anchor_day == 14


def test_disabled_settings_expect_no_run() -> None:
    """Neither a time nor a slot."""
    schedule = fold(draft(SettingsCreated, enabled=False, next_backup_at=None, next_slot=None))
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
        at(done, draft(BackupCompleted, run_id=RUN, next_backup_at=NEXT, next_slot=NEXT)),
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
    off = draft(SettingsUpdated, after={"enabled": False}, next_backup_at=None, next_slot=None)
    schedule = fold(CREATED, CLAIM, off, failed(1, None))
    assert next_of(schedule) == (None, None, 1)


def test_a_change_of_settings_changes_the_fields_concerned() -> None:
    """And the time of the change; what was created when stays."""
    later = SLOT + timedelta(days=3)
    change = draft(SettingsUpdated, after={"keep_count": 3}, next_backup_at=SLOT, next_slot=SLOT)
    schedule = fold(at(SLOT, CREATED), at(later, change))
    assert (schedule.keep_count, schedule.frequency, schedule.enabled) == (3, "daily", True)
    assert (schedule.created_at, schedule.updated_at) == (SLOT, later)


def test_a_change_that_leaves_the_time_alone_keeps_a_retry() -> None:
    """Keeping fewer backups does not make a second attempt a first one."""
    change = draft(SettingsUpdated, after={"keep_count": 3}, next_backup_at=RETRY, next_slot=SLOT)
    schedule = fold(CREATED, CLAIM, failed(2, RETRY), change)
    assert next_of(schedule) == (RETRY, SLOT, 3)


def test_a_change_of_the_time_ends_a_retry() -> None:
    """What is expected then is the first attempt of another slot."""
    noon = SLOT.replace(hour=12)
    change = draft(
        SettingsUpdated, after={"backup_time": "12:00"}, next_backup_at=noon, next_slot=noon
    )
    schedule = fold(CREATED, CLAIM, failed(2, RETRY), change)
    assert next_of(schedule) == (noon, noon, 1)
    assert schedule.failures == 1


def test_a_pause_and_its_end() -> None:
    """Both are changes; whether a run is expected is what the event says."""
    later = SLOT + timedelta(hours=1)
    paused = fold(
        at(SLOT, CREATED), at(later, draft(SchedulePaused, next_backup_at=SLOT, next_slot=SLOT))
    )
    assert (paused.paused, paused.updated_at, paused.next_backup_at) == (True, later, SLOT)
    resumed = fold(
        CREATED,
        draft(SchedulePaused, next_backup_at=SLOT, next_slot=SLOT),
        draft(ScheduleResumed, next_backup_at=NEXT, next_slot=NEXT),
    )
    assert (resumed.paused, *next_of(resumed)) == (False, NEXT, NEXT, 1)


def test_a_pause_keeps_a_retry_and_the_run_that_is_open() -> None:
    """It holds nothing up that has begun."""
    pause = draft(SchedulePaused, next_backup_at=RETRY, next_slot=SLOT)
    claim = draft(BackupStarted, event_id=RUN, slot=SLOT, attempt=3)
    schedule = fold(CREATED, failed(2, RETRY), claim, pause)
    assert schedule.open_run_id == RUN
    assert next_of(schedule) == (RETRY, SLOT, 3)


def test_every_event_counts_in_the_streams_version() -> None:
    """A row tells a claim which version to expect."""
    drafts = [CREATED, CLAIM, failed(1, RETRY), draft(SchedulePaused), draft(SlotsMissed)]
    versions = [fold(*drafts[:count]).stream_version for count in range(1, 6)]
    assert versions == [1, 2, 3, 4, 5]
