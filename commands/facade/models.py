"""What the facade takes and gives: the shapes that existing applications know."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from commands.schedules.cron import checked_cron
from commands.schedules.local_time import parse_backup_time, zone
from commands.schedules.settings import KEEP_DAYS_MAX, KEEP_PERIODS_MAX
from ledger.vocabulary import KEEP_COUNT_MAX, KEEP_COUNT_MIN, BackupFrequency

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
