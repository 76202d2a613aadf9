"""Events of retention: what was kept, what was deleted, and why."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from ledger.events.base import Count, Details, Identifier
from ledger.events.base import ResourceType as _ResourceType
from ledger.vocabulary import RETENTION


class _RetentionDetails(Details):
    is_audited = True
    resource_type: ClassVar[_ResourceType] = "backup_retention"
    stream_kind: ClassVar[str] = RETENTION


class KeptBackup(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    backup_id: Identifier
    reasons: list[str]


class DeletedBackup(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    backup_id: Identifier
    filename: str


class RetentionApplied(_RetentionDetails):
    """`part` of `parts`: long lists are cut; the counts are of the whole.

    Version 2 has the rule beside the count; in version 1 there was none.
    """

    event_type = "backup_retention.applied"
    schema_version = 3
    file_names = ("deleted.filename",)
    action = "apply"
    scope: str
    keep_count: int
    keep_within_days: Count
    keep_daily: Count
    keep_weekly: Count
    keep_monthly: Count
    keep_yearly: Count
    kept: list[KeptBackup]
    deleted: list[DeletedBackup]
    deleted_count: Count
    part: int
    parts: int


class RetentionSpared(_RetentionDetails):
    """The last good backup would have gone; it stays."""

    event_type = "backup_retention.safety_check"
    schema_version = 2
    action = "apply"
    scope: str
    keep_count: int
    spared_backup_id: Identifier


class RetentionFailed(_RetentionDetails):
    event_type = "backup_retention.error"
    schema_version = 2
    action = "apply"
    success = False
    scope: str
    keep_count: int
    error_type: str


class DeletionFailed(_RetentionDetails):
    event_type = "backup_retention.delete_error"
    schema_version = 2
    file_names = ("filename",)
    action = "delete"
    success = False
    backup_id: Identifier
    filename: str
    error_type: str


class EmptyBackupsCleaned(_RetentionDetails):
    event_type = "backup_retention.cleanup_empty"
    schema_version = 2
    file_names = ("deleted.filename",)
    action = "cleanup"
    deleted: list[DeletedBackup]
    deleted_count: Count
    part: int
    parts: int


class OldProtectedCleaned(_RetentionDetails):
    event_type = "backup_retention.cleanup_old_protected"
    schema_version = 2
    file_names = ("deleted.filename",)
    action = "cleanup"
    days_old: Count
    deleted: list[DeletedBackup]
    deleted_count: Count
    part: int
    parts: int
