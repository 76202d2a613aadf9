"""One plausible event of every type, and drafts made from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ledger.append.ledger import Context, Draft, make_event
from ledger.events import (
    Details,
    catalog,
    housekeeping,
    restoring,
    retention,
    scheduling,
)
from ledger.records.record import Actor, Event
from ledger.vocabulary import LEDGER_STREAM, SCHEDULER
from tests.sample_offsite_events import OFFSITE_SAMPLES
from tests.sample_values import (
    BACKUP,
    COPY,
    HOLD,
    NAME,
    NEXT,
    NOTIFICATION,
    NOW,
    REPOSITORY,
    RESTORE,
    RUN,
    SHA,
    SLOT,
    SOURCE,
    STORE,
    TOKEN,
    uuid_of,
)

DELETED = retention.DeletedBackup(backup_id=BACKUP, filename=NAME)
_RULE = {"scope": "1", "keep_count": 7}
_PART = {"deleted": [DELETED], "deleted_count": 1, "part": 1, "parts": 1}
_FILE = {"store": STORE, "filename": NAME}
_CHECK = {"level": "digest", "expected_sha256": SHA, "trigger": "due"}
_DELETION = {**_FILE, "reason": "retention", "forced": False, "rule": "keep_count 7"}
_HOLD = {"hold_id": HOLD, "reason": "audit é \u2028", "until": NEXT}
_TOKEN = {"token_id": TOKEN, "role": "user", "user": "1", "expires": None}
_RESTORE = {
    "backup_id": BACKUP,
    "pre_restore_backup_id": None,
    "forced": True,
    "mode": "transaction",
    "target": "/srv/app.db",
    "sha256": SHA,
}
_NOTIFICATION = {"notification_id": NOTIFICATION, "attempt": 1}
_NEXT_RUN = {"next_backup_at": NEXT, "next_slot": NEXT}
_COUNTED = {**_NEXT_RUN, "anchor_day": None}
_NOTHING_NEXT = {"next_backup_at": None, "next_slot": None, "anchor_day": None}
_ENDED = {"run_id": RUN, "slot": SLOT, "attempt": 1}

SAMPLES: dict[type[Details], dict[str, Any]] = {
    scheduling.SchedulerStarted: {
        "check_interval_seconds": 60,
        "host": "db1",
        "pid": 4711,
        "software_version": "0.1.0",
    },
    scheduling.SchedulerStopped: {"reason": "signal"},
    scheduling.CheckFailed: {"error_type": "OSError"},
    scheduling.SettingsCreated: {
        "enabled": True,
        "frequency": "daily",
        "backup_time": "03:00",
        "keep_count": 7,
        "timezone": "UTC",
        "keep_within_days": 0,
        "keep_daily": 7,
        "keep_weekly": 4,
        "keep_monthly": 12,
        "keep_yearly": 3,
        "cron": None,
        **_COUNTED,
    },
    scheduling.SettingsUpdated: {
        "before": {"keep_count": 7, "enabled": True},
        "after": {"keep_count": 14, "enabled": False},
        **_NOTHING_NEXT,
    },
    scheduling.SettingsRejected: {"attempted": {"keep_count": 99}, "error_type": "ValueError"},
    scheduling.BackupStarted: {
        "slot": SLOT,
        "attempt": 1,
        "scheduler": "db1:4711:boot",
        "lease_seconds": 300,
    },
    scheduling.BackupCompleted: {
        **_ENDED,
        "backup_id": BACKUP,
        "filename": NAME,
        "size": 2**53 - 1,
        "sha256": SHA,
        "frequency": "daily",
        "started_at": SLOT,
        **_NEXT_RUN,
        "deleted_old_backups": 0,
    },
    scheduling.BackupFailed: {**_ENDED, "error_type": "OSError", **_NEXT_RUN},
    scheduling.BackupAbandoned: {**_ENDED, "scheduler": "db1:1:boot", **_NEXT_RUN},
    scheduling.SlotsMissed: {
        "first_slot": SLOT - timedelta(days=2),
        "last_slot": SLOT - timedelta(days=1),
        "count": 2,
    },
    scheduling.SchedulePaused: {"note": "moving house", **_NOTHING_NEXT},
    scheduling.ScheduleResumed: {"note": None, **_COUNTED},
    retention.RetentionApplied: {
        **_RULE,
        **_PART,
        "keep_within_days": 0,
        "keep_daily": 7,
        "keep_weekly": 4,
        "keep_monthly": 12,
        "keep_yearly": 3,
        "kept": [retention.KeptBackup(backup_id=uuid_of(99), reasons=["newest 7", "held"])],
    },
    retention.RetentionSpared: {**_RULE, "spared_backup_id": BACKUP},
    retention.RetentionFailed: {**_RULE, "error_type": "OSError"},
    retention.DeletionFailed: {"backup_id": BACKUP, "filename": NAME, "error_type": "OSError"},
    retention.EmptyBackupsCleaned: _PART,
    retention.OldProtectedCleaned: {**_PART, "days_old": 90},
    catalog.BackupCreated: {
        **_FILE,
        "run_id": RUN,
        "source": SOURCE,
        "kind": "scheduled",
        "size": 4096,
        "sha256": SHA,
        "schema_fingerprint": "cd" * 32,
        "table_count": 1,
        "row_count": 3,
        "tables": [catalog.TableRows(name="users", rows=3)],
        "engine": "copy",
        "engine_reason": "a WAL database",
        "shared_with": None,
        "warnings": ["less than half the size of the one before"],
        "condition": "unchecked",
        "findings": [],
        "unchecked": ["people"],
        "cipher": None,
        "local_day": "2025-01-13",
        "collapsed_from": uuid_of(98),
    },
    catalog.BackupNotCreated: {**_FILE, "kind": "manual", "error_type": "OSError"},
    catalog.BackupFound: {
        **_FILE,
        "kind": "manual",
        "size": 0,
        "sha256": SHA,
        "created_at": SLOT,
        "status": "corrupt",
    },
    catalog.BackupMissing: _FILE,
    catalog.BackupVerified: {**_CHECK, "found_sha256": SHA, "problem": None},
    catalog.BackupCorrupt: {**_CHECK, "found_sha256": "ef" * 32, "problem": "another digest"},
    catalog.DeletionStarted: {**_DELETION, "owner": "db1:4711:boot"},
    catalog.BackupDeleted: _DELETION,
    catalog.HoldPlaced: _HOLD,
    catalog.HoldReleased: _HOLD,
    catalog.BackupAccepted: {"reason": "the archive was cleared"},
    catalog.BackupDownloaded: {"bytes": 1_048_576},
    restoring.RestoreStarted: {
        **_RESTORE,
        "owner": "db1:4711:boot",
        "target_schema_version": 3,
        "target_sha256": None,
        "tables": ["cases"],
    },
    housekeeping.HookFailed: {"hook": "hook_after", "exit_code": 3, "output": "no route"},
    restoring.TableRestored: {
        "backup_id": BACKUP,
        "table": "cases",
        "mode": "in_place",
        "rows_added": 3,
        "rows_changed": 2,
        "rows_removed": 0,
    },
    restoring.RestoreCompleted: _RESTORE,
    restoring.RestoreFailed: {**_RESTORE, "error_type": "OSError"},
    restoring.RestoreInterrupted: {**_RESTORE, "outcome": "unknown"},
    **OFFSITE_SAMPLES,
    housekeeping.SourceRegistered: {"source": SOURCE, "store": STORE, "path": "/srv/app.db"},
    housekeeping.ClockJumped: {"before": SLOT, "now": datetime(1970, 1, 1, tzinfo=UTC)},
    housekeeping.SourceMoved: {
        "source": SOURCE,
        "path_before": "/srv/app.db",
        "path": "/srv/new/app.db",
    },
    housekeeping.SourceOptimized: {"source": SOURCE, "size_before": 2, "size_after": 1},
    housekeeping.TokenCreated: _TOKEN,
    housekeeping.TokenRevoked: _TOKEN,
    housekeeping.ProjectionRebuilt: {
        "name": "backup_runs",
        "version": 1,
        "position": 12,
        "rows": 3,
        "reason": "its rows were deleted",
    },
    housekeeping.LedgerMoved: {"place": "postgresql://db.example/backups"},
    housekeeping.LedgerRecovered: {
        "size": 12,
        "root": SHA,
        "url": "s3://bucket/app",
        "signed": False,
        "public_key": None,
    },
    housekeeping.RecordRedacted: {
        "position": 1,
        "leaf_hash": SHA,
        "event_type": "backup_catalog.hold_placed",
        "stream": f"backup/{BACKUP}",
        "stream_version": 2,
        "ticket": "DSR-17",
        "reason": "article 17",
        "kept": {
            "action": "hold",
            "actor_kind": "operator",
            "correlation_id": RUN,
            "details": {"hold_id": HOLD, "reason": "[erased]", "until": None},
            "resource_id": BACKUP,
            "resource_type": "backup_catalog",
            "schema_version": 2,
            "stream_version": 2,
            "success": True,
            "timestamp": "2025-01-13T03:00:05.000000Z",
            "user_id": None,
        },
        "guessable": False,
    },
    housekeeping.EvidenceExported: {
        "first_position": 1,
        "last_position": 12,
        "checkpoint_size": 12,
        "filter": {"user": "1"},
    },
    housekeeping.CheckpointCosigned: {
        "size": 12,
        "root": SHA,
        "witnesses": ["witness.example/w1", "witness.example/w2"],
        "cosigned": 2,
        "quorum": 2,
    },
    housekeeping.WitnessRefused: {
        "witness": "witness.example/w1",
        "size": 12,
        "witness_size": 20,
        "reason": "conflict",
    },
    housekeeping.KeyRotated: {
        "old_key": "example.com/log+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
        "new_key": "example.com/log+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    },
    housekeeping.NotificationQueued: {
        "notification_id": NOTIFICATION,
        "topic": "incidents",
        "first_position": 7,
        "last_position": 12,
        "count": 2,
    },
    housekeeping.NotificationSent: {**_NOTIFICATION, "targets": 1},
    housekeeping.NotificationFailed: {
        **_NOTIFICATION,
        "error_type": "TimeoutError",
        "failed_targets": ["target 1 (json)"],
    },
}
"""Every event type, with fields that it could have."""

_STREAM_ENDS = {
    "schedule": "1",
    "retention": "1",
    "backup": BACKUP,
    "restore": RESTORE,
    "destination": REPOSITORY,
    "copy": COPY,
}


def sample(kind: type[Details], /, **changes: Any) -> Any:
    """Details of a type, with other values for some fields."""
    return kind.model_validate({**SAMPLES[kind], **changes})


def stream_of(kind: type[Details]) -> str:
    """A stream on which events of a type may stand."""
    if kind.stream_kind == LEDGER_STREAM:
        return LEDGER_STREAM
    end = "db1:4711:boot" if kind.stream_kind == SCHEDULER else _STREAM_ENDS[kind.stream_kind]
    return f"{kind.stream_kind}/{end}"


def draft(kind: type[Details], stream: str | None = None, /, **changes: Any) -> Draft:
    """A fact about to be appended: to the stream given, else to the sample's own."""
    envelope = {
        name: changes.pop(name)
        for name in ("event_id", "expected_version", "owner", "correlation_id", "causation_id")
        if name in changes
    }
    message = None if kind.success else "it did not work"
    return Draft(
        stream or stream_of(kind), sample(kind, **changes), error_message=message, **envelope
    )


CONTEXT = Context(
    actor=Actor(id="ada", kind="operator"), now=NOW, correlation_id=RUN, causation_id=None
)


def event(drafted: Draft, version: int = 1, at: datetime = NOW) -> Event:
    """The event of a draft, as if it had been appended."""
    return make_event(CONTEXT, drafted, version, at)
