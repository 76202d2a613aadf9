"""Events of one restore."""

from __future__ import annotations

from typing import ClassVar, Literal

from ledger.events.base import Count, Details, Digest, Identifier
from ledger.events.base import ResourceType as _ResourceType
from ledger.vocabulary import RESTORE, RestoreMode, TableMode


class _RestoreDetails(Details):
    """Version 2 added `forced`; null in version 1, which did not record it."""

    resource_type: ClassVar[_ResourceType] = "backup_restore"
    stream_kind: ClassVar[str] = RESTORE
    action = "restore"
    backup_id: Identifier
    pre_restore_backup_id: Identifier | None
    mode: RestoreMode
    target: str
    sha256: Digest
    forced: bool | None


class RestoreStarted(_RestoreDetails):
    """What recovery needs to tell old from new: the target as it was before.

    Version 3 says which tables are put back; null where it is the whole backup.
    """

    event_type = "backup_restore.started"
    schema_version = 3
    personal = ("target", "tables")
    owner: str
    target_schema_version: int | None
    target_sha256: Digest | None
    tables: list[str] | None


class RestoreCompleted(_RestoreDetails):
    event_type = "backup_restore.completed"
    schema_version = 3
    personal = ("target",)


class TableRestored(Details):
    """One table of a backup that was put back, in the transaction of its restore."""

    event_type = "backup_restore.table_restored"
    personal = ("table",)
    resource_type: ClassVar[_ResourceType] = "backup_restore"
    stream_kind: ClassVar[str] = RESTORE
    action = "restore"
    backup_id: Identifier
    table: str
    mode: TableMode
    rows_added: Count
    rows_changed: Count
    rows_removed: Count


class RestoreFailed(_RestoreDetails):
    event_type = "backup_restore.error"
    schema_version = 3
    personal = ("target",)
    success = False
    error_type: str


class RestoreInterrupted(_RestoreDetails):
    event_type = "backup_restore.interrupted"
    schema_version = 3
    personal = ("target",)
    success = False
    outcome: Literal["old", "new", "unknown"]
