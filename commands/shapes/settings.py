"""A user's schedule as it is shown."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Self

from commands.shapes.shape import Shape
from ledger.vocabulary import BackupFrequency

if TYPE_CHECKING:
    from projections.folds.schedule import Schedule


class BackupSettings(Shape):
    """A user's settings: the columns of the `backup_settings` table. Times are aware UTC."""

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
    def of(cls, schedule: Schedule) -> Self:
        return cls.model_validate(schedule)


class ListedSettings(BackupSettings):
    """Settings among everybody's. `orphan`: the application has no such user (any more)."""

    orphan: bool

    @classmethod
    def among(cls, schedule: Schedule, orphans: set[int]) -> Self:
        shown = BackupSettings.of(schedule).model_dump()
        return cls(**shown, orphan=schedule.user_id in orphans)


class SettingsPage(Shape):
    """By user. `next_cursor`, once `next`: the last user of a full page, else null."""

    settings: list[ListedSettings]
    next: int | None
    next_cursor: int | None


class PreviewShape(Shape):
    """The next runs, if each is on time; none where the settings are disabled or paused."""

    user_id: int
    runs: list[datetime]
