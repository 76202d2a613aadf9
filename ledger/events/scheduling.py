"""Events of a user's schedule and of the scheduler that serves it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

from ledger.events.base import ChangedFields, Count, Details, Digest, Identifier, Instant
from ledger.events.base import ResourceType as _ResourceType
from ledger.vocabulary import (
    CRON_MAX_LENGTH,
    KEEP_COUNT_MAX,
    KEEP_COUNT_MIN,
    SCHEDULE,
    SCHEDULER,
)

Frequency = Literal["daily", "weekly", "monthly"]
BackupTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
KeepCount = Annotated[int, Field(ge=KEEP_COUNT_MIN, le=KEEP_COUNT_MAX)]
Timezone = Annotated[str, Field(min_length=1, max_length=64)]
Cron = Annotated[str, Field(min_length=9, max_length=CRON_MAX_LENGTH)]
AnchorDay = Annotated[int, Field(ge=1, le=31)]

_strict = ConfigDict(strict=True)
_CHOICES: dict[str, TypeAdapter[Any]] = {
    "enabled": TypeAdapter(bool, config=_strict),
    "frequency": TypeAdapter(Frequency, config=_strict),
    "backup_time": TypeAdapter(BackupTime, config=_strict),
    "keep_count": TypeAdapter(KeepCount, config=_strict),
    "timezone": TypeAdapter(Timezone, config=_strict),
    "keep_within_days": TypeAdapter(Count, config=_strict),
    "keep_daily": TypeAdapter(Count, config=_strict),
    "keep_weekly": TypeAdapter(Count, config=_strict),
    "keep_monthly": TypeAdapter(Count, config=_strict),
    "keep_yearly": TypeAdapter(Count, config=_strict),
    "cron": TypeAdapter(Cron | None, config=_strict),
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
    schema_version = 2
    is_audited = True
    stream_kind = SCHEDULER
    action = "start"
    check_interval_seconds: Count
    host: str
    pid: Count
    software_version: str


class SchedulerStopped(_SchedulerDetails):
    event_type = "backup_scheduler.stop"
    schema_version = 2
    personal = ("reason",)
    is_audited = True
    stream_kind = SCHEDULER
    action = "stop"
    reason: str


class CheckFailed(_SchedulerDetails):
    event_type = "backup_scheduler.check_error"
    schema_version = 2
    is_audited = True
    stream_kind = SCHEDULER
    action = "check"
    success = False
    error_type: str


class NextRun(_SchedulerDetails):
    """Version 2 says which slot the next run is for; null where an older one did not.

    So a fold never needs a time zone database: `next_backup_at` is that slot and the user's
    offset, or the time of a retry.
    """

    next_backup_at: Instant | None
    next_slot: Instant | None


class _Counted(NextRun):
    """The next slot was counted from now; `anchor_day`: the day of calendar months since then."""

    anchor_day: AnchorDay | None


class SettingsCreated(_Counted):
    """Version 3 knows `cron`: an expression that slots come from, or null."""

    event_type = "backup_scheduler.settings_created"
    schema_version = 3
    is_audited = True
    action = "create"
    enabled: bool
    frequency: Frequency
    backup_time: BackupTime
    keep_count: KeepCount
    timezone: Timezone
    keep_within_days: Count
    keep_daily: Count
    keep_weekly: Count
    keep_monthly: Count
    keep_yearly: Count
    cron: Cron | None


class SettingsUpdated(_Counted):
    """A person's change; or a correction after a clock was wrong.

    Of a correction `before` and `after` have the fields `next_backup_at` and `next_slot` alone.
    Version 3 may change `cron`.
    """

    event_type = "backup_scheduler.settings_updated"
    schema_version = 3
    is_audited = True
    action = "update"
    before: ChangedFields
    after: ChosenFields


class SettingsRejected(_SchedulerDetails):
    event_type = "backup_scheduler.settings_error"
    schema_version = 2
    personal = ("attempted",)
    is_audited = True
    action = "update"
    success = False
    attempted: ChangedFields
    error_type: str


class BackupStarted(_SchedulerDetails):
    """The claim: whoever appends it owns the run; its event_id is the run_id."""

    event_type = "backup_scheduler.backup_started"
    schema_version = 2
    action = "backup"
    slot: Instant
    attempt: Count
    scheduler: str
    lease_seconds: Count


class BackupCompleted(NextRun):
    event_type = "backup_scheduler.backup_completed"
    schema_version = 3
    file_names = ("filename",)
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
    deleted_old_backups: Count


class BackupFailed(NextRun):
    event_type = "backup_scheduler.backup_error"
    schema_version = 3
    is_audited = True
    action = "backup"
    success = False
    run_id: Identifier
    slot: Instant
    attempt: Count
    error_type: str


class BackupAbandoned(NextRun):
    """A claim whose owner is gone; it counts as an attempt."""

    event_type = "backup_scheduler.backup_abandoned"
    schema_version = 3
    action = "backup"
    success = False
    run_id: Identifier
    slot: Instant
    attempt: Count
    scheduler: str


class SlotsMissed(_SchedulerDetails):
    """The earlier slots that a catch-up run stands for, without its own."""

    event_type = "backup_scheduler.slots_missed"
    schema_version = 2
    action = "miss"
    success = False
    first_slot: Instant
    last_slot: Instant
    count: Count


class SchedulePaused(_Counted):
    event_type = "backup_scheduler.paused"
    schema_version = 3
    personal = ("note",)
    action = "pause"
    note: str | None


class ScheduleResumed(_Counted):
    event_type = "backup_scheduler.resumed"
    schema_version = 3
    personal = ("note",)
    action = "resume"
    note: str | None
