"""How things look as JSON: column names as in the read models, times as in records."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from commands.backups.unrecorded import UNRECORDED
from ledger.clock import format_instant
from projections.tables.columns import backup_catalog, backup_runs, backup_settings

if TYPE_CHECKING:
    from commands.backups.unrecorded import UnrecordedFile
    from commands.restore.plan import RestorePlan
    from commands.retention.apply import RetentionOutcome
    from commands.site.site import Site
    from commands.verification.verify import Verification
    from projections.folds.backup import Backup
    from projections.folds.run import Run
    from projections.folds.schedule import Schedule

JOB, BACKUP = "backup_ledger_job", "backup_ledger_backup"
"""Names of the routes that `Location` leads to."""

FORMER_MEGABYTE = 1024 * 1024
"""What the former service called a megabyte; its callers compare with what they stored."""


def as_json(value: Any) -> Any:
    """Times in the form of records, paths and keys as text."""
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, Path | bytes):
        return str(value) if isinstance(value, Path) else value.hex()
    if isinstance(value, dict):
        return {str(name): as_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    return value


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON in ASCII: whatever text was stored can be sent."""
    return Response(json.dumps(as_json(value)), status, headers, "application/json")


class Located(Response):
    """JSON about something that has an address of its own: a route by its name."""

    def __init__(self, value: Any, status: int, route: str, **path: str) -> None:
        super().__init__(json.dumps(as_json(value)), status, None, "application/json")
        self.route, self.path = route, path


def in_megabytes(size: int) -> float:
    """As the former service's routes have it, rounded."""
    return round(size / FORMER_MEGABYTE, 2)


def settings_shape(schedule: Schedule) -> dict[str, Any]:
    return {column.name: getattr(schedule, column.name) for column in backup_settings.columns}


def run_shape(run: Run) -> dict[str, Any]:
    return {column.name: getattr(run, column.name) for column in backup_runs.columns}


def metadata_shape(site: Site, backup: Backup) -> dict[str, Any]:
    """A backup as the former service showed it."""
    return {
        "filename": backup.filename,
        "filepath": str(site.store.path(backup.filename)),
        "size": backup.size,
        "created_at": backup.created_at,
        "is_protected": backup.is_protected,
    }


def backup_shape(site: Site, backup: Backup) -> dict[str, Any]:
    """The same with all that the catalog knows."""
    columns = {column.name: getattr(backup, column.name) for column in backup_catalog.columns}
    return columns | metadata_shape(site, backup)


def unrecorded_shape(file: UnrecordedFile, *, everything: bool = False) -> dict[str, Any]:
    """A file that the ledger does not know, as the former service showed it.

    `everything`: with the catalog's columns, null where nothing is known.
    """
    shown = {
        "filename": file.filename,
        "filepath": str(file.path),
        "size": file.size,
        "created_at": file.created_at,
        "is_protected": file.is_protected,
    }
    if not everything:
        return shown
    columns: dict[str, Any] = dict.fromkeys(column.name for column in backup_catalog.columns)
    known: dict[str, Any] = {
        "kind": file.kind,
        "user_id": file.user_id,
        "status": UNRECORDED,
        "holds": [],
    }
    return columns | known | shown


def verification_shape(found: Verification) -> dict[str, Any]:
    return {
        "backup_id": found.backup.backup_id,
        "filename": found.backup.filename,
        "level": found.level,
        "ok": found.is_good,
        "problem": found.problem,
        "failure": found.failure,
        "expected_sha256": found.backup.sha256,
        "found_sha256": found.found_sha256,
    }


def plan_shape(plan: RestorePlan) -> dict[str, Any]:
    return {
        "backup_id": plan.backup.backup_id,
        "filename": plan.backup.filename,
        "target": plan.target,
        "mode": plan.mode,
        "reason": plan.reason,
        "keeps_current": plan.keeps_current,
        "needed_bytes": plan.needed_bytes,
        "source_path": plan.source,
        "is_foreign": plan.is_foreign,
    }


def retention_shape(outcome: RetentionOutcome) -> dict[str, Any]:
    """What is kept and why, and what goes by which rule."""
    kept = [
        {
            "backup_id": each.backup_id,
            "filename": outcome.backups[each.backup_id].filename,
            "reasons": list(each.reasons),
        }
        for each in outcome.plan.kept
    ]
    gone = [
        {"backup_id": each.backup.backup_id, "filename": each.backup.filename, "rule": each.rule}
        for each in outcome.deletions
    ]
    return {"kept": kept, "to_delete": gone}
