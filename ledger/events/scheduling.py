"""Events of a user's schedule and of the scheduler that serves it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

from ledger.events.base import ChangedFields, Count, Details, Digest, Identifier, Instant
from ledger.events.base import ResourceType as _ResourceType
from ledger.vocabulary import KEEP_COUNT_MAX, KEEP_COUNT_MIN, SCHEDULE, SCHEDULER

Frequency = Literal["daily", "weekly", "monthly"]
BackupTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
KeepCount = Annotated[int, Field(ge=KEEP_COUNT_MIN, le=KEEP_COUNT_MAX)]
Timezone = Annotated[str, Field(min_length=1, max_length=64)]

_strict = ConfigDict(strict=True)
_CHOICES: dict[str, TypeAdapter[Any]] = {
    "enabled": TypeAdapter(bool, config=_strict),
    "frequency": TypeAdapter(Frequency, config=_strict),
    "backup_time": TypeAdapter(BackupTime, config=_strict),
    "keep_count": TypeAdapter(KeepCount, config=_strict),
    "timezone": TypeAdapter(Timezone, config=_strict),
}


def _check_choices(fields: ChangedFields) -> ChangedFields:
    """What was chosen is what a schedule can have, or nobody could fold it."""
    for name, value in fields.items():
        if name in _CHOICES:
            _CHOICES[name].validate_python(value)
    return fields


ChosenFields = Annotated[ChangedFields, AfterValidator(_check_choices)]


class _SchedulerDetails(Details):
    resource_type: ClassVar[_ResourceType] = "backup_scheduler"
    stream_kind: ClassVar[str] = SCHEDULE


class SchedulerStarted(_SchedulerDetails):
    event_type = "backup_scheduler.start"
    is_audited = True
    stream_kind = SCHEDULER
    action = "start"
    check_interval_seconds: Count
    host: str
    pid: Count
    software_version: str


class SchedulerStopped(_SchedulerDetails):
    event_type = "backup_scheduler.stop"
    is_audited = True
    stream_kind = SCHEDULER
    action = "stop"
    reason: str


class CheckFailed(_SchedulerDetails):
    event_type = "backup_scheduler.check_error"
    is_audited = True
    stream_kind = SCHEDULER
    action = "check"
    success = False
    error_type: str


class SettingsCreated(_SchedulerDetails):
    event_type = "backup_scheduler.settings_created"
    is_audited = True
    action = "create"
    enabled: bool
    frequency: Frequency
    backup_time: BackupTime
    keep_count: KeepCount
    timezone: Timezone
    next_backup_at: Instant | None


class SettingsUpdated(_SchedulerDetails):
    event_type = "backup_scheduler.settings_updated"
    is_audited = True
    action = "update"
    before: ChangedFields
    after: ChosenFields
    next_backup_at: Instant | None


class SettingsRejected(_SchedulerDetails):
    event_type = "backup_scheduler.settings_error"
    is_audited = True
    action = "update"
    success = False
    attempted: ChangedFields
    error_type: str


class BackupStarted(_SchedulerDetails):
    """The claim: whoever appends it owns the run; its event_id is the run_id."""

    event_type = "backup_scheduler.backup_started"
    action = "backup"
    slot: Instant
    attempt: Count
    scheduler: str
    lease_seconds: Count


class BackupCompleted(_SchedulerDetails):
    event_type = "backup_scheduler.backup_completed"
    is_audited = True
    action = "backup"
    run_id: Identifier
    backup_id: Identifier
    filename: str
    size: Count
    sha256: Digest
    frequency: str
    slot: Instant
    attempt: Count
    started_at: Instant
    next_backup_at: Instant | None
    deleted_old_backups: Count


class BackupFailed(_SchedulerDetails):
    event_type = "backup_scheduler.backup_error"
    is_audited = True
    action = "backup"
    success = False
    run_id: Identifier
    slot: Instant
    attempt: Count
    error_type: str
    next_backup_at: Instant | None


class BackupAbandoned(_SchedulerDetails):
    """A claim whose owner is gone; it counts as an attempt."""

    event_type = "backup_scheduler.backup_abandoned"
    action = "backup"
    success = False
    run_id: Identifier
    slot: Instant
    attempt: Count
    scheduler: str
    next_backup_at: Instant | None


class SlotsMissed(_SchedulerDetails):
    """The earlier slots that a catch-up run stands for, without its own."""

    event_type = "backup_scheduler.slots_missed"
    action = "miss"
    success = False
    first_slot: Instant
    last_slot: Instant
    count: Count


class SchedulePaused(_SchedulerDetails):
    event_type = "backup_scheduler.paused"
    action = "pause"
    note: str | None
    next_backup_at: Instant | None


class ScheduleResumed(_SchedulerDetails):
    event_type = "backup_scheduler.resumed"
    action = "resume"
    note: str | None
    next_backup_at: Instant | None
