"""The one guard that every delete passes, whoever asks for it and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.errors import Refused
from ledger.vocabulary import BackupStatus, DeletionReason

if TYPE_CHECKING:
    from datetime import datetime

    from projections.folds.backup import Backup

MAY_DELETE_PROTECTED = ("cleanup_empty", "cleanup_old_protected")
"""Clean-ups exist for such files: empty ones, and old protected ones."""


def why_refused(
    backup: Backup,
    reason: DeletionReason,
    now: datetime,
    *,
    forced: bool,
    is_being_restored: bool,
    is_last_good: bool,
) -> str | None:
    """Why a backup may not be deleted; None where it may.

    Held or being restored: refused to all; force overrides protection, never a hold.
    Protected: refused to retention, and to a person without force. Last good: refused to
    retention and clean-ups; a person who names a file may delete it.
    """
    holds = backup.holds_at(now)
    if holds:
        return f"it is held ({holds[0]['reason']}); release the hold first"
    if is_being_restored:
        return "it is being restored or copied off-site; try again when that is over"
    if backup.status not in (BackupStatus.OK, BackupStatus.CORRUPT, BackupStatus.MISSING):
        return f"it is {backup.status} already"
    if backup.is_protected and not (reason in MAY_DELETE_PROTECTED or forced):
        return "it is protected; use force to delete it all the same"
    if is_last_good and reason != "person":
        return "it is the last good backup"
    return None


def require_deletable(filename: str, refusal: str | None) -> None:
    """Let a delete pass.

    Raises:
        Refused: there is a reason not to.
    """
    if refusal is not None:
        raise Refused(f"backup {filename!r} cannot be deleted: {refusal}")
