"""What DESIGN sections 3 and 4 say of every record: its keys, its stream, its action."""

from __future__ import annotations

import json
import re
from typing import Any

from commands.site.site import Site

ENVELOPE = {
    "action", "actor", "causation_id", "correlation_id", "details", "error_message", "event_id",
    "event_type", "resource_id", "resource_type", "schema_version", "stream", "stream_version",
    "success", "timestamp", "user_id",
}  # fmt: skip

_COUNTED = "next_backup_at next_slot anchor_day"
_RESTORE = "backup_id pre_restore_backup_id mode target sha256 forced"

DETAILS = {
    "backup_scheduler.start": "check_interval_seconds host pid software_version",
    "backup_scheduler.stop": "reason",
    "backup_scheduler.check_error": "error_type",
    "backup_scheduler.settings_created": (
        "enabled frequency backup_time keep_count timezone keep_within_days keep_daily keep_weekly "
        f"keep_monthly keep_yearly cron {_COUNTED}"
    ),
    "backup_scheduler.settings_updated": f"before after {_COUNTED}",
    "backup_scheduler.settings_error": "attempted error_type",
    "backup_scheduler.backup_completed": (
        "run_id backup_id filename size sha256 frequency slot attempt started_at next_backup_at "
        "next_slot deleted_old_backups"
    ),
    "backup_scheduler.backup_error": "run_id slot attempt error_type next_backup_at next_slot",
    "backup_retention.applied": (
        "scope keep_count keep_within_days keep_daily keep_weekly keep_monthly keep_yearly kept "
        "deleted deleted_count part parts"
    ),
    "backup_retention.safety_check": "scope keep_count spared_backup_id",
    "backup_retention.error": "scope keep_count error_type",
    "backup_retention.delete_error": "backup_id filename error_type",
    "backup_retention.cleanup_empty": "deleted deleted_count part parts",
    "backup_retention.cleanup_old_protected": "days_old deleted deleted_count part parts",
    "backup_scheduler.backup_started": "slot attempt scheduler lease_seconds",
    "backup_scheduler.backup_abandoned": "run_id slot attempt scheduler next_backup_at next_slot",
    "backup_scheduler.slots_missed": "first_slot last_slot count",
    "backup_scheduler.paused": f"note {_COUNTED}",
    "backup_scheduler.resumed": f"note {_COUNTED}",
    "backup_catalog.backup_created": (
        "run_id store source filename kind size sha256 schema_fingerprint table_count row_count "
        "tables engine engine_reason shared_with warnings condition findings unchecked cipher "
        "local_day collapsed_from"
    ),
    "backup_catalog.backup_found": "store filename kind size sha256 created_at status",
    "backup_catalog.backup_missing": "store filename",
    "backup_catalog.backup_verified": "level expected_sha256 found_sha256 problem trigger",
    "backup_catalog.backup_corrupt": "level expected_sha256 found_sha256 problem trigger",
    "backup_catalog.deletion_started": "store filename owner reason forced rule",
    "backup_catalog.backup_deleted": "store filename reason forced rule",
    "backup_catalog.hold_placed": "hold_id reason until",
    "backup_catalog.hold_released": "hold_id reason until",
    "backup_catalog.backup_accepted": "reason",
    "backup_catalog.backup_downloaded": "bytes",
    "backup_restore.started": f"{_RESTORE} owner target_schema_version target_sha256 tables",
    "ledger.hook_failed": "hook exit_code output",
    "backup_restore.table_restored": ("backup_id table mode rows_added rows_changed rows_removed"),
    "backup_restore.completed": _RESTORE,
    "backup_restore.error": f"{_RESTORE} error_type",
    "backup_restore.interrupted": f"{_RESTORE} outcome",
    "ledger.source_registered": "source store path",
    "ledger.clock_jumped": "before now",
    "ledger.source_moved": "source path_before path",
    "ledger.source_optimized": "source size_before size_after",
    "ledger.token_created": "token_id role user expires",
    "ledger.token_revoked": "token_id role user expires",
    "ledger.projection_rebuilt": "name version position rows reason",
    "ledger.evidence_exported": "first_position last_position checkpoint_size filter",
    "ledger.checkpoint_cosigned": "size root witnesses cosigned quorum",
    "ledger.witness_refused": "witness size witness_size reason",
    "ledger.key_rotated": "old_key new_key",
}

_COPY = "destination backup_id"
_LEASE = "owner lease_seconds"
OFFSITE = {
    "backup_offsite.destination_added": (
        "name url options recipients proved clear share salt settings stated probe resumed"
    ),
    "backup_offsite.destination_changed": "before after",
    "backup_offsite.destination_attached": "name",
    "backup_offsite.destination_detached": "name reason",
    "backup_offsite.destination_removed": "name",
    "ledger.moved": "place",
    "ledger.recovered": "size root url signed public_key",
    "backup_offsite.pack_missing": "packs count damaged part parts",
    "backup_offsite.pack_found": "packs count damaged part parts",
    "backup_offsite.copy_started": f"{_COPY} {_LEASE} filename source",
    "backup_offsite.copy_completed": (
        f"{_COPY} copy_id size sha256 manifest_sha256 packs packs_root pages new_pages sent_bytes "
        "readable_by protected_until"
    ),
    "backup_offsite.copy_error": f"{_COPY} error_type",
    "backup_offsite.copy_abandoned": f"{_COPY} owner",
    "backup_offsite.copy_verified": f"{_COPY} level problem opened",
    "backup_offsite.copy_corrupt": f"{_COPY} level problem opened",
    "backup_offsite.copy_fetch_started": f"{_COPY} {_LEASE} fetch_id reason",
    "backup_offsite.copy_fetched": f"{_COPY} fetch_id reason bytes",
    "backup_offsite.copy_fetch_error": f"{_COPY} fetch_id reason error_type",
    "backup_offsite.collect_started": f"collect_id {_LEASE}",
    "backup_offsite.collect_completed": (
        "collect_id copies_condemned copies_deleted packs_condemned packs_deleted deleted_bytes "
        "append_only"
    ),
    "backup_offsite.collect_error": "collect_id error_type",
    "backup_offsite.copy_deletion_started": (f"{_COPY} collect_id filename reason rule not_before"),
    "backup_offsite.copy_deleted": f"{_COPY} filename reason rule outcome",
    "backup_offsite.packs_condemned": "collect_id packs count part parts reason not_before",
    "backup_offsite.packs_deletion_started": "collect_id packs count part parts",
    "backup_offsite.packs_deleted": "collect_id packs count part parts outcome bytes",
    "backup_offsite.copy_found": (
        f"{_COPY} copy_id filename source created_at size sha256 manifest_sha256 packs packs_root "
        "pages readable_by"
    ),
    "backup_offsite.recipients_changed": "before after proved forced",
}
"""Section 9 of the contract of off-site copies."""

ADDED = {
    "ledger.record_redacted": (
        "position leaf_hash event_type stream stream_version ticket reason kept guessable"
    ),
    "backup_catalog.backup_error": "store filename kind error_type",
    "ledger.notification_queued": "notification_id topic first_position last_position count",
    "ledger.notification_sent": "notification_id attempt targets",
    "ledger.notification_error": "notification_id attempt error_type failed_targets",
}
"""Not in the table: section 4 asks for what else happens."""

ACTIONS = {
    "record_redacted": "redact",
    "hook_failed": "run",
    "start": "start", "stop": "stop", "check_error": "check", "settings_created": "create",
    "settings_updated": "update", "settings_error": "update", "backup_started": "backup",
    "backup_completed": "backup", "backup_abandoned": "backup", "backup_created": "backup",
    "backup_error": "backup", "slots_missed": "miss", "paused": "pause", "resumed": "resume",
    "applied": "apply", "safety_check": "apply", "delete_error": "delete",
    "deletion_started": "delete", "backup_deleted": "delete", "cleanup_empty": "cleanup",
    "cleanup_old_protected": "cleanup", "source_optimized": "optimize",
    "token_created": "create", "token_revoked": "revoke", "backup_found": "find",
    "backup_missing": "lose",
    "backup_verified": "verify", "backup_corrupt": "verify", "hold_placed": "hold",
    "hold_released": "release", "source_registered": "register",
    "clock_jumped": "jump",
    "source_moved": "move", "backup_accepted": "accept",
    "backup_downloaded": "download",
    "projection_rebuilt": "rebuild", "evidence_exported": "export",
    "notification_queued": "notify", "notification_sent": "notify",
    "notification_error": "notify", "checkpoint_cosigned": "cosign",
    "witness_refused": "cosign", "key_rotated": "rotate",
    "destination_added": "add", "destination_changed": "update", "destination_attached": "attach",
    "destination_removed": "remove", "destination_detached": "detach",
    "recovered": "recover", "moved": "move", "pack_missing": "lose", "pack_found": "find",
    "copy_started": "copy", "copy_completed": "copy", "copy_error": "copy",
    "copy_abandoned": "copy", "copy_verified": "verify", "copy_corrupt": "verify",
    "copy_fetch_started": "fetch", "copy_fetched": "fetch", "copy_fetch_error": "fetch",
    "collect_started": "collect", "collect_completed": "collect", "collect_error": "collect",
    "copy_deletion_started": "delete", "copy_deleted": "delete", "packs_condemned": "condemn",
    "packs_deletion_started": "delete", "packs_deleted": "delete", "copy_found": "find",
    "recipients_changed": "update",
}  # fmt: skip

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def require_as_designed(site: Site) -> None:
    """Every record of a ledger has the keys that the design gives it, and no others."""
    for row in site.ledger.records():
        require_record(json.loads(row.record))


def require_record(record: dict[str, Any]) -> None:
    kind = record["event_type"]
    assert set(record) == ENVELOPE
    designed = {*(DETAILS | OFFSITE | ADDED)[kind].split(), "nonce"}
    assert set(record["details"]) == designed, kind
    group, _, name = kind.partition(".")
    expected = {"backup_restore": "restore", "backup_retention": ACTIONS.get(name, "apply")}
    assert record["action"] == expected.get(group, ACTIONS.get(name)), kind
    assert record["resource_id"] == record["stream"].rpartition("/")[2]
    assert INSTANT.fullmatch(record["timestamp"])
    assert record["success"] or record["error_message"]
    if record["stream"].startswith("schedule/"):
        assert record["user_id"] == record["resource_id"]
    is_a_runs = kind in ("backup_scheduler.backup_started", "backup_scheduler.slots_missed")
    if is_a_runs and kind.endswith("started"):
        assert record["correlation_id"] == record["event_id"]
    elif is_a_runs:
        assert record["correlation_id"] == record["causation_id"]
    elif record["details"].get("run_id"):
        assert record["correlation_id"] == record["details"]["run_id"]
