"""What a user's schedule adds up to: one row of `backup_settings`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from ledger.append.kept_states import StateForm
from ledger.clock import format_instant, parse_instant
from ledger.events.scheduling import (
    BackupAbandoned,
    BackupCompleted,
    BackupFailed,
    BackupStarted,
    NextRun,
    SchedulePaused,
    ScheduleResumed,
    SettingsCreated,
    SettingsUpdated,
)
from ledger.records.record import Event
from ledger.vocabulary import MAX_RETRIES

KEEP_FIELDS = ("keep_within_days", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly")
"""What stays beside the newest `keep_count`."""

SETTINGS_FIELDS = (
    "enabled",
    "frequency",
    "backup_time",
    "keep_count",
    "timezone",
    *KEEP_FIELDS,
    "cron",
)
"""What a person chooses."""


@dataclass(slots=True)
class Schedule:
    """One user's settings and where their runs stand. Times are aware UTC.

    `next_slot`: what the next run is for, or the open one; None where an event of an older version
    did not say it. `anchor_day`: the day of calendar months; None for the slot's own.
    `missed_from`: set where a wrong clock moved the next run: the slot that it was at before, and
    none earlier counts as missed. `is_recomputed`: the next run is still the one of the correction.
    """

    user_id: int
    enabled: bool
    frequency: str
    backup_time: str
    keep_count: int
    created_at: datetime
    updated_at: datetime
    timezone: str = "UTC"
    last_backup_at: datetime | None = None
    next_backup_at: datetime | None = None
    paused: bool = False
    failures: int = 0
    next_slot: datetime | None = None
    next_attempt: int = 1
    open_run_id: str | None = None
    stream_version: int = 0
    anchor_day: int | None = None
    missed_from: datetime | None = None
    is_recomputed: bool = False
    keep_within_days: int = 0
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0
    keep_yearly: int = 0
    cron: str | None = None
    id: int = 0


def _dumped(schedule: Schedule) -> dict[str, Any]:
    values = {each.name: getattr(schedule, each.name) for each in fields(Schedule)}
    return {
        name: format_instant(value) if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def _loaded(values: dict[str, Any]) -> Schedule:
    if values.keys() != {each.name for each in fields(Schedule)}:
        raise ValueError("these are not the fields of a schedule")
    instants = {name: parse_instant(values[name]) for name in _INSTANTS if values[name] is not None}
    return Schedule(**values | instants)


_INSTANTS = (
    "created_at",
    "updated_at",
    "last_backup_at",
    "next_backup_at",
    "next_slot",
    "missed_from",
)
SCHEDULE_FORM = StateForm("schedule@3", _dumped, _loaded)
"""How a long schedule is kept between its events. A change of the fold needs a new topic."""


def evolve_schedule(schedule: Schedule | None, event: Event) -> Schedule | None:
    """Fold one event of a `schedule/` stream."""
    details = event.details
    if isinstance(details, SettingsCreated):
        schedule = Schedule(
            user_id=int(event.resource_id),
            created_at=event.timestamp,
            updated_at=event.timestamp,
            id=0 if schedule is None else schedule.id,
            **{name: getattr(details, name) for name in SETTINGS_FIELDS},
        )
        _expect(schedule, details)
        schedule.anchor_day = details.anchor_day
    if schedule is None:
        return None  # a rejected first setting: the stream has events, but no schedule
    schedule.stream_version = event.stream_version
    if isinstance(details, BackupStarted):
        schedule.open_run_id = event.event_id
        schedule.next_slot, schedule.next_attempt = details.slot, details.attempt
        schedule.is_recomputed = False
    elif isinstance(details, BackupCompleted):
        schedule.open_run_id = None
        schedule.failures = 0
        schedule.last_backup_at = event.timestamp
        _expect(schedule, details)
    elif isinstance(details, BackupFailed | BackupAbandoned):
        _after_failure(schedule, details)
    elif isinstance(details, SettingsUpdated | SchedulePaused | ScheduleResumed):
        schedule.updated_at = event.timestamp
        _after_change(schedule, details)
    return schedule


def _after_failure(schedule: Schedule, details: BackupFailed | BackupAbandoned) -> None:
    schedule.open_run_id = None
    schedule.failures += 1
    _expect(schedule, details)
    if _is_retry(details):
        schedule.next_slot = details.slot
        schedule.next_attempt = details.attempt + 1


def _is_retry(details: BackupFailed | BackupAbandoned) -> bool:
    """Version 1 did not name the slot: every attempt but the last was followed by a retry."""
    if details.next_backup_at is None:
        return False
    if details.next_slot is None:
        return details.attempt <= MAX_RETRIES
    return details.next_slot == details.slot


def _after_change(
    schedule: Schedule, details: SettingsUpdated | SchedulePaused | ScheduleResumed
) -> None:
    if isinstance(details, SettingsUpdated):
        for name, value in details.after.items():
            if name in SETTINGS_FIELDS:
                setattr(schedule, name, value)
    else:
        schedule.paused = isinstance(details, SchedulePaused)
    if details.anchor_day is not None:
        schedule.anchor_day = details.anchor_day
    if details.next_backup_at == schedule.next_backup_at:
        return
    _expect(schedule, details)
    if isinstance(details, SettingsUpdated) and details.before.get("next_backup_at") is not None:
        _after_correction(schedule, details)
    else:
        schedule.anchor_day = details.anchor_day
        schedule.missed_from = None


def _after_correction(schedule: Schedule, details: SettingsUpdated) -> None:
    """A clock was wrong, now or before: slots before the one it was at do not count as missed."""
    before = details.before.get("next_slot") or details.before["next_backup_at"]
    was_at = parse_instant(str(before))
    schedule.missed_from = max(schedule.missed_from or was_at, was_at)
    schedule.is_recomputed = schedule.next_slot != schedule.missed_from


def _expect(schedule: Schedule, details: NextRun) -> None:
    """The next run, its first attempt."""
    schedule.next_backup_at = details.next_backup_at
    schedule.next_slot = details.next_slot
    schedule.next_attempt = 1
    schedule.is_recomputed = False
