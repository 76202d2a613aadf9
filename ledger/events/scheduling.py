"""Events of a user's schedule and of the scheduler that serves it."""

from __future__ import annotations

from typing import ClassVar

from ledger.events.base import ChangedFields, Count, Details, Digest, Identifier, Instant
from ledger.events.base import ResourceType as _ResourceType


class _SchedulerDetails(Details):
    resource_type: ClassVar[_ResourceType] = "backup_scheduler"


class SchedulerStarted(_SchedulerDetails):
    event_type = "backup_scheduler.start"
    action = "start"
    check_interval_seconds: Count
    host: str
    pid: Count
    software_version: str


class SchedulerStopped(_SchedulerDetails):
    event_type = "backup_scheduler.stop"
    action = "stop"
    reason: str


class CheckFailed(_SchedulerDetails):
    event_type = "backup_scheduler.check_error"
    action = "check"
    success = False
    error_type: str


class SettingsCreated(_SchedulerDetails):
    event_type = "backup_scheduler.settings_created"
    action = "create"
    enabled: bool
    frequency: str
    backup_time: str
    keep_count: int
    timezone: str
    next_backup_at: Instant | None


class SettingsUpdated(_SchedulerDetails):
    event_type = "backup_scheduler.settings_updated"
    action = "update"
    before: ChangedFields
    after: ChangedFields
    next_backup_at: Instant | None


class SettingsRejected(_SchedulerDetails):
    event_type = "backup_scheduler.settings_error"
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


EVENTS: tuple[type[Details], ...] = (
    SchedulerStarted,
    SchedulerStopped,
    CheckFailed,
    SettingsCreated,
    SettingsUpdated,
    SettingsRejected,
    BackupStarted,
    BackupCompleted,
    BackupFailed,
    BackupAbandoned,
    SlotsMissed,
    SchedulePaused,
    ScheduleResumed,
)
