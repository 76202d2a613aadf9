"""Events of one backup: made, found, verified, held, deleted."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from ledger.events.base import Count, Day, Details, Digest, Identifier, Instant
from ledger.events.base import ResourceType as _ResourceType
from ledger.vocabulary import BACKUP, Condition, DeletionReason, Engine, Kind, Level, Trigger


class _CatalogDetails(Details):
    resource_type: ClassVar[_ResourceType] = "backup_catalog"
    stream_kind: ClassVar[str] = BACKUP


class TableRows(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    name: str
    rows: Count


class BackupCreated(_CatalogDetails):
    """`tables`: the first 200 by name. `shared_with`: the first entry on the same inode.

    Version 2 added what follows `warnings`. `findings`: what the integrity check found wrong with
    the database, `unchecked`: tables that could not be checked here; the longer lists are cut.
    `cipher`: how the database is encrypted, null where it is not. `local_day`: the day on which
    it was made in the schedule's time zone, null where no schedule asked for it.
    `collapsed_from`: the backup before it that holds much more, null where none does.
    """

    event_type = "backup_catalog.backup_created"
    schema_version = 3
    personal = ("tables.name", "engine_reason", "warnings", "findings", "unchecked")
    file_names = ("filename",)
    action = "backup"
    run_id: Identifier | None
    store: Identifier
    source: Identifier
    filename: str
    kind: Kind
    size: Count
    sha256: Digest
    schema_fingerprint: Digest
    table_count: Count
    row_count: Count
    tables: list[TableRows]
    engine: Engine
    engine_reason: str
    shared_with: Identifier | None
    warnings: list[str]
    condition: Condition
    findings: list[str]
    unchecked: list[str]
    cipher: str | None
    local_day: Day | None
    collapsed_from: Identifier | None


class BackupNotCreated(_CatalogDetails):
    """A backup that a person asked for could not be made; nothing was left behind."""

    event_type = "backup_catalog.backup_error"
    schema_version = 2
    personal = ("filename",)
    action = "backup"
    success = False
    store: Identifier
    filename: str | None
    kind: Kind
    error_type: str


class BackupFound(_CatalogDetails):
    """A file that stood in the folder without an entry was adopted."""

    event_type = "backup_catalog.backup_found"
    schema_version = 2
    file_names = ("filename",)
    action = "find"
    store: Identifier
    filename: str
    kind: Kind
    size: Count
    sha256: Digest
    created_at: Instant
    status: Literal["ok", "corrupt"]


class BackupMissing(_CatalogDetails):
    event_type = "backup_catalog.backup_missing"
    schema_version = 2
    file_names = ("filename",)
    action = "lose"
    success = False
    store: Identifier
    filename: str


class _VerificationDetails(_CatalogDetails):
    action = "verify"
    level: Level
    expected_sha256: Digest
    found_sha256: Digest | None
    problem: str | None
    trigger: Trigger


class BackupVerified(_VerificationDetails):
    event_type = "backup_catalog.backup_verified"
    schema_version = 2
    personal = ("problem",)


class BackupCorrupt(_VerificationDetails):
    event_type = "backup_catalog.backup_corrupt"
    schema_version = 2
    personal = ("problem",)
    success = False


class DeletionStarted(_CatalogDetails):
    """`owner`: the process that will unlink the file."""

    event_type = "backup_catalog.deletion_started"
    schema_version = 2
    file_names = ("filename",)
    action = "delete"
    store: Identifier
    filename: str
    owner: str
    reason: DeletionReason
    forced: bool
    rule: str | None


class BackupDeleted(_CatalogDetails):
    event_type = "backup_catalog.backup_deleted"
    schema_version = 2
    file_names = ("filename",)
    action = "delete"
    store: Identifier
    filename: str
    reason: DeletionReason
    forced: bool
    rule: str | None


class _HoldDetails(_CatalogDetails):
    hold_id: Identifier
    reason: str
    until: Instant | None


class HoldPlaced(_HoldDetails):
    event_type = "backup_catalog.hold_placed"
    schema_version = 2
    personal = ("reason",)
    action = "hold"


class HoldReleased(_HoldDetails):
    event_type = "backup_catalog.hold_released"
    schema_version = 2
    personal = ("reason",)
    action = "release"


class BackupAccepted(_CatalogDetails):
    """A person says that a collapse was meant, or that the findings of a flawed one are known."""

    event_type = "backup_catalog.backup_accepted"
    schema_version = 2
    personal = ("reason",)
    action = "accept"
    reason: str | None


class BackupDownloaded(_CatalogDetails):
    """A person was given the file, to take it out of the folder. `bytes`: its size."""

    event_type = "backup_catalog.backup_downloaded"
    schema_version = 1
    action = "download"
    bytes: Count
