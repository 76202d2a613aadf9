"""Retention as events: what was kept and why, what went, what was spared, what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.errors import message_of
from commands.retention.parts import cut_into_parts
from ledger.append.ledger import Draft
from ledger.events.retention import (
    DeletedBackup,
    KeptBackup,
    RetentionApplied,
    RetentionFailed,
    RetentionSpared,
)
from ledger.vocabulary import retention_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.retention.periods import Keep
    from commands.retention.rules import Kept, RetentionPlan
    from projections.folds.backup import Backup


def applied_drafts(
    kept: Sequence[Kept],
    deleted: Sequence[Backup],
    keep_count: int,
    user_id: int | None,
    keep: Keep,
) -> list[Draft]:
    """One event, or several where the lists are long: deleted first, then kept."""
    entries: list[tuple[DeletedBackup | KeptBackup, object]] = []
    for backup in deleted:
        gone = DeletedBackup(backup_id=backup.backup_id, filename=backup.filename)
        entries.append((gone, gone.model_dump()))
    for each in kept:
        stays = KeptBackup(backup_id=each.backup_id, reasons=list(each.reasons))
        entries.append((stays, stays.model_dump()))
    parts = cut_into_parts(entries)
    return [
        Draft(
            retention_stream(user_id),
            RetentionApplied(
                scope=_scope(user_id),
                keep_count=keep_count,
                **keep.fields(),
                kept=[each for each in part if isinstance(each, KeptBackup)],
                deleted=[each for each in part if isinstance(each, DeletedBackup)],
                deleted_count=len(deleted),
                part=number,
                parts=len(parts),
            ),
            user_id,
        )
        for number, part in enumerate(parts, 1)
    ]


def spared_drafts(made: RetentionPlan, keep_count: int, user_id: int | None) -> list[Draft]:
    """One for each backup that stays only because it is the last good one."""
    return [
        Draft(
            retention_stream(user_id),
            RetentionSpared(
                scope=_scope(user_id), keep_count=keep_count, spared_backup_id=each.backup_id
            ),
            user_id,
        )
        for each in made.spared
    ]


def failed_draft(keep_count: int, user_id: int | None, error: Exception) -> Draft:
    """That retention failed; `keep_count` is 0 where it was no count at all."""
    details = RetentionFailed(
        scope=_scope(user_id),
        keep_count=keep_count if type(keep_count) is int and abs(keep_count) < 2**53 else 0,
        error_type=type(error).__name__,
    )
    message = message_of(error)
    return Draft(retention_stream(user_id), details, user_id, error_message=message)


def _scope(user_id: int | None) -> str:
    return "global" if user_id is None else str(user_id)
