"""The words that events, read models and commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

SCHEDULE = "schedule"
BACKUP = "backup"
RETENTION = "retention"
SCHEDULER = "scheduler"
RESTORE = "restore"
DESTINATION = "destination"
COPY = "copy"
LEDGER_STREAM = "ledger"
LAST_DIGEST = "last_digest"
"""The row of the snapshots that holds what the last digest named. No stream has this name."""


class BackupFrequency(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class BackupKind(StrEnum):
    SCHEDULED = "scheduled"
    MANUAL = "manual"
    PRE_MIGRATION = "pre_migration"
    PRE_RESTORE = "pre_restore"


class BackupStatus(StrEnum):
    """Where a backup stands in the catalog."""

    OK = "ok"
    CORRUPT = "corrupt"
    MISSING = "missing"
    DELETING = "deleting"
    DELETED = "deleted"


class CopyStatus(StrEnum):
    """Where an off-site copy stands. Nothing but `ok` may be restored from.

    `detached`: its destination was removed; it is still there, and counts again once that is added.
    """

    COPYING = "copying"
    OK = "ok"
    FAILED = "failed"
    CORRUPT = "corrupt"
    DETACHED = "detached"
    DELETING = "deleting"
    DELETED = "deleted"


class RunOutcome(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    ABANDONED = "abandoned"


Level = Literal["exists", "digest", "integrity", "drill"]
LEVELS: tuple[Level, ...] = ("exists", "digest", "integrity", "drill")
Trigger = Literal["command", "due", "restore"]
CopyLevel = Literal["listed", "digest", "integrity", "drill"]
FetchReason = Literal["restore", "integrity", "drill"]
CopyDeletionReason = Literal["retention", "superseded", "repair"]
CondemnReason = Literal["unnamed", "orphan"]
"""Why a pack goes: the last copy on it goes, or no copy was ever completed on it."""
DeletionOutcome = Literal["removed", "hidden"]
"""`hidden`: a bucket with versions keeps what was deleted, until its own rules remove it."""
DeletionReason = Literal["retention", "cleanup_empty", "cleanup_old_protected", "person"]
RestoreMode = Literal["transaction", "replace", "elsewhere"]
TableMode = Literal["in_place", "beside", "exact"]
Kind = Literal["scheduled", "manual", "pre_migration", "pre_restore"]
Engine = Literal["copy", "backup_api"]
Condition = Literal["ok", "unchecked", "flawed"]
"""What the checks of a new backup came to: nothing wrong; some of it could not be checked; the
database itself has an integrity finding, and its copy is kept all the same."""
ActorKind = Literal["user", "operator", "auditor", "scheduler", "system"]

Role = Literal["user", "operator", "auditor"]
"""What a token allows."""
WitnessRefusal = Literal[
    "conflict",
    "wrong_proof",
    "unknown_log",
    "unknown_key",
    "bad_request",
    "bad_answer",
    "unreachable",
]
"""Why a witness did not cosign."""
SAW_ANOTHER_HISTORY: tuple[WitnessRefusal, ...] = ("conflict", "wrong_proof")

MAX_USER_ID = 2**63 - 1
"""The largest key that a table of users can have."""
ROLE_PREFIX = "backup_ledger"
"""What the roles of a ledger on PostgreSQL are called, before `_appender` and the others."""
CRON_MAX_LENGTH = 100
KEEP_COUNT_MIN = 1
KEEP_COUNT_MAX = 30
GRACE_HOURS = 24
"""How long a condemned object stays off-site by default: a second machine notices a fork meanwhile.
"""
MAX_RETRIES = 5
"""How often a failed slot is tried again before the next one: attempts 1 to 6."""


def schedule_stream(user_id: int) -> str:
    return f"{SCHEDULE}/{user_id}"


def backup_stream(backup_id: str) -> str:
    return f"{BACKUP}/{backup_id}"


def retention_stream(user_id: int | None) -> str:
    return f"{RETENTION}/{'global' if user_id is None else user_id}"


def scheduler_stream(instance: str) -> str:
    return f"{SCHEDULER}/{instance}"


def restore_stream(restore_id: str) -> str:
    return f"{RESTORE}/{restore_id}"


def destination_stream(repository_id: str) -> str:
    return f"{DESTINATION}/{repository_id}"


def copy_stream(copy_id: str) -> str:
    return f"{COPY}/{copy_id}"


EVERYTHING = "*"
"""Stands among a backup's unchecked tables where no key opened it, so that nothing was checked."""

NOT_CHECKED_ANEW = "not checked anew"
"""Stands in a backup's `engine_reason` where an earlier backup of the same bytes was checked."""
