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
    SchedulePaused,
    ScheduleResumed,
    SettingsCreated,
    SettingsUpdated,
)
from ledger.records.record import Event
from ledger.vocabulary import MAX_RETRIES
from projections.folds.local_time import nominal_slot

SETTINGS_FIELDS = ("enabled", "frequency", "backup_time", "keep_count", "timezone")
"""What a person chooses."""


@dataclass(slots=True)
class Schedule:
    """One user's settings and where their runs stand. Times are aware UTC."""

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


_INSTANTS = ("created_at", "updated_at", "last_backup_at", "next_backup_at", "next_slot")
SCHEDULE_FORM = StateForm("schedule@1", _dumped, _loaded)
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
        _expect(schedule, details.next_backup_at)
    if schedule is None:
        return None  # a rejected first setting: the stream has events, but no schedule
    schedule.stream_version = event.stream_version
    if isinstance(details, BackupStarted):
        schedule.open_run_id = event.event_id
    elif isinstance(details, BackupCompleted):
        schedule.open_run_id = None
        schedule.failures = 0
        schedule.last_backup_at = event.timestamp
        _expect(schedule, details.next_backup_at)
    elif isinstance(details, BackupFailed | BackupAbandoned):
        _after_failure(schedule, details)
    elif isinstance(details, SettingsUpdated | SchedulePaused | ScheduleResumed):
        schedule.updated_at = event.timestamp
        _after_change(schedule, details)
    return schedule


def _after_failure(schedule: Schedule, details: BackupFailed | BackupAbandoned) -> None:
    schedule.open_run_id = None
    schedule.failures += 1
    if details.next_backup_at is not None and details.attempt <= MAX_RETRIES:
        schedule.next_backup_at = details.next_backup_at
        schedule.next_slot = details.slot
        schedule.next_attempt = details.attempt + 1
    else:
        _expect(schedule, details.next_backup_at)


def _after_change(
    schedule: Schedule, details: SettingsUpdated | SchedulePaused | ScheduleResumed
) -> None:
    if isinstance(details, SettingsUpdated):
        for name, value in details.after.items():
            if name in SETTINGS_FIELDS:
                setattr(schedule, name, value)
    else:
        schedule.paused = isinstance(details, SchedulePaused)
    if details.next_backup_at != schedule.next_backup_at:
        _expect(schedule, details.next_backup_at)


def _expect(schedule: Schedule, next_backup_at: datetime | None) -> None:
    """The next run, its first attempt."""
    schedule.next_backup_at = next_backup_at
    schedule.next_attempt = 1
    schedule.next_slot = (
        None
        if next_backup_at is None
        else nominal_slot(next_backup_at, schedule.backup_time, schedule.timezone)
    )
