"""What the facade takes and gives: the shapes that existing applications know."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from commands.retention.apply import RetentionOutcome
from commands.schedules.cron import checked_cron
from commands.schedules.local_time import parse_backup_time, zone
from commands.schedules.settings import KEEP_DAYS_MAX, KEEP_PERIODS_MAX
from ledger.vocabulary import KEEP_COUNT_MAX, KEEP_COUNT_MIN, BackupFrequency

if TYPE_CHECKING:
    from commands.site.store import Store
    from projections.folds.backup import Backup
    from projections.folds.schedule import Schedule


Days = Annotated[int, Field(ge=0, le=KEEP_DAYS_MAX)]
Periods = Annotated[int, Field(ge=0, le=KEEP_PERIODS_MAX)]


class BackupSettingsUpdate(BaseModel):
    """A change of settings; what is not given stays as it is.

    Raises:
        pydantic.ValidationError: a value out of range (it is a ValueError).
    """

    model_config = ConfigDict(extra="forbid")

    enabled: bool | None = None
    frequency: BackupFrequency | None = None
    backup_time: str | None = None
    keep_count: Annotated[int, Field(ge=KEEP_COUNT_MIN, le=KEEP_COUNT_MAX)] | None = None
    timezone: str | None = None
    cron: str | None = None
    keep_within_days: Days | None = None
    keep_daily: Periods | None = None
    keep_weekly: Periods | None = None
    keep_monthly: Periods | None = None
    keep_yearly: Periods | None = None

    @field_validator("backup_time")
    @classmethod
    def _is_a_time(cls, value: str | None) -> str | None:
        if value is not None:
            parse_backup_time(value)
        return value

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, value: str | None) -> str | None:
        return None if value is None else checked_cron(value)

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str | None) -> str | None:
        return None if value is None else zone(value).key


class BackupSettings(BaseModel):
    """A user's settings: the columns of the `backup_settings` table. Times are aware UTC."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: int
    user_id: int
    enabled: bool
    frequency: BackupFrequency
    backup_time: str
    keep_count: int
    last_backup_at: datetime | None
    next_backup_at: datetime | None
    created_at: datetime
    updated_at: datetime
    timezone: str
    paused: bool
    failures: int
    next_slot: datetime | None
    next_attempt: int
    open_run_id: str | None
    stream_version: int
    anchor_day: int | None
    missed_from: datetime | None
    is_recomputed: bool
    keep_within_days: int
    keep_daily: int
    keep_weekly: int
    keep_monthly: int
    keep_yearly: int
    cron: str | None

    @classmethod
    def of(cls, schedule: Schedule) -> BackupSettings:
        return cls.model_validate(schedule)


class BackupMetadataResponse(BaseModel):
    """One backup. `size` in bytes, `created_at` aware UTC."""

    model_config = ConfigDict(frozen=True)

    filename: str
    filepath: str
    size: int
    created_at: datetime
    is_protected: bool

    @classmethod
    def of(cls, backup: Backup, store: Store) -> BackupMetadataResponse:
        path: Path = store.path(backup.filename)
        return cls(
            filename=backup.filename,
            filepath=str(path),
            size=backup.size,
            created_at=backup.created_at,
            is_protected=backup.is_protected,
        )


class RetentionSummary(BaseModel):
    """What retention would do: total = protected + to_keep + to_delete."""

    model_config = ConfigDict(frozen=True)

    total: int
    protected: int
    to_keep: int
    to_delete: int


def summary_of(outcome: RetentionOutcome) -> RetentionSummary:
    """Counts of a plan."""
    protected = sum(backup.is_protected for backup in outcome.backups.values())
    total, to_delete = len(outcome.backups), len(outcome.plan.deleted)
    return RetentionSummary(
        total=total,
        protected=protected,
        to_keep=total - protected - to_delete,
        to_delete=to_delete,
    )
