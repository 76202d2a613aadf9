"""How destinations and copies look as JSON, the same on the command line and over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commands.offsite.repository.layout import manifest_path, pack_list_path

if TYPE_CHECKING:
    from commands.offsite.deleting.collect import Collected
    from commands.offsite.status import DestinationStatus, PlacedCopy
    from commands.offsite.verify import CheckedCopy
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination

_COPY = (
    "copy_id", "backup_id", "filename", "source", "status", "completed_at", "size", "sha256",
    "manifest_sha256", "packs", "packs_root", "pages", "new_pages", "sent_bytes",
    "readable_by", "protected_until", "verified_level", "verified_at", "proved", "problem",
)  # fmt: skip
_DESTINATION = (
    "name", "url", "repository_id", "status", "clear", "share", "recipients", "options",
    "settings", "stated", "added_at",
)  # fmt: skip


def destination_json(destination: Destination) -> dict[str, Any]:
    return {name: getattr(destination, name) for name in _DESTINATION}


def copy_json(copy: OffsiteCopy) -> dict[str, Any]:
    return {name: getattr(copy, name) for name in _COPY}


def status_json(found: DestinationStatus) -> dict[str, Any]:
    return {
        "name": found.destination.name,
        "url": found.destination.url,
        "status": found.destination.status,
        "copies": len(found.copies),
        "corrupt": len(found.corrupt),
        "missing": len(found.missing),
        "newest_copy_at": found.newest_copy_at,
        "stored_bytes": found.sent_bytes,
        "append_only": found.append_only,
        "condemned_copies": len(found.deleting),
        "condemned_packs": found.condemned_packs,
        "next_deletion_at": found.next_deletion_at,
        "ledger_size": found.ledger_size,
    }


def placed_copy_json(placed: PlacedCopy) -> dict[str, Any]:
    """A copy with where it is, and what leads from its event to `sha256sum` there."""
    copy = placed.copy
    return copy_json(copy) | {
        "destination": placed.destination.name,
        "url": placed.destination.url,
        "manifest": manifest_path(copy.copy_id),
        "pack_list": pack_list_path(copy.copy_id),
        "event_position": placed.event_position,
    }


def made_json(destination: Destination, copy: OffsiteCopy) -> dict[str, Any]:
    """A copy that was made just now."""
    return {
        "filename": copy.filename,
        "copy_id": copy.copy_id,
        "destination": destination.name,
        "sent_bytes": copy.sent_bytes,
        "new_pages": copy.new_pages,
        "pages": copy.pages,
        "packs": copy.packs,
    }


def checked_json(checked: CheckedCopy) -> dict[str, Any]:
    return {
        "destination": checked.destination.name,
        "copy_id": checked.copy.copy_id,
        "filename": checked.copy.filename,
        "level": checked.level,
        "ok": checked.problem is None,
        "problem": checked.problem,
    }


def collected_json(found: Collected, *, dry_run: bool) -> dict[str, Any]:
    plan, claim = found.plan, found.claim
    return {
        "name": found.destination.name,
        "dry_run": dry_run,
        "condemned_copies": [
            {
                "copy_id": going.copy.copy_id,
                "filename": going.copy.filename,
                "reason": going.reason,
                "not_before": moment,
            }
            for going, moment in plan.copies
        ],
        "condemned_packs": found.condemned_packs,
        "condemned_bytes": found.condemned_bytes,
        "due_copies": len(plan.due_copies),
        "due_packs": len(plan.due_packs),
        "deleted_copies": 0 if claim is None else claim.copies_deleted,
        "deleted_packs": 0 if claim is None else claim.packs_deleted,
        "deleted_bytes": 0 if claim is None else claim.deleted_bytes,
        "orphans": len(plan.orphans),
        "foreign": found.look.foreign,
        "append_only": claim is not None and claim.append_only,
        "problem": plan.problem,
        "clock_doubt": plan.clock_doubt,
    }
