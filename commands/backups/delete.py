"""Deleting backups: decide and announce under the lock, unlink, record that it is done."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.backups.find import find_backup
from commands.backups.guard import require_deletable, why_refused
from commands.errors import message_of
from ledger.append.ledger import Draft
from ledger.errors import LedgerError
from ledger.events.catalog import BackupDeleted, DeletionStarted
from ledger.events.retention import DeletionFailed
from ledger.vocabulary import DeletionReason, backup_stream, retention_stream
from projections.queries.locked import backup_locked, backups_being_restored

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.backup import Backup

logger = logging.getLogger("backup_ledger.deletion")


@dataclass(frozen=True, slots=True)
class Deletion:
    """A delete that was announced: what is unlinked, and why."""

    backup: Backup
    reason: DeletionReason
    forced: bool = False
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be unlinked; its deletion stays open and is tried again."""

    deletion: Deletion
    error: OSError


def delete_backup(site: Site, context: Context, filename: str, *, force: bool = False) -> None:
    """Delete one backup that a person names.

    Raises:
        BackupNotFound: there is none of this name.
        Refused: it is held, being restored, or protected and not forced; recorded.
        OSError: its file cannot be removed; recorded, and tried again by recovery.
    """
    backup = find_backup(site, filename)
    try:
        deletion = _begin_deletion(site, context, backup, force=force)
    except Exception as error:
        site.notify(site.ledger.append(context, _failed_draft(backup, error)))
        raise
    for failure in carry_out(site, context, [deletion]):
        raise failure.error


def started_draft(site: Site, deletion: Deletion) -> Draft:
    """The announcement of a delete."""
    backup = deletion.backup
    details = DeletionStarted(
        store=backup.store,
        filename=backup.filename,
        owner=site.owner.name,
        reason=deletion.reason,
        forced=deletion.forced,
        rule=deletion.rule,
    )
    return Draft(backup_stream(backup.backup_id), details, backup.user_id)


def carry_out(site: Site, context: Context, deletions: Sequence[Deletion]) -> list[Failure]:
    """Remove the files of announced deletes, and record what came of each; what failed."""
    failures = unlink_files(site, deletions)
    drafts = outcome_drafts(deletions, failures)
    if drafts:
        site.notify(site.ledger.append(context, *drafts))
    return failures


def unlink_files(site: Site, deletions: Iterable[Deletion]) -> list[Failure]:
    """Remove the files of announced deletes; what could not be removed."""
    failures, gone = [], []
    for deletion in deletions:
        try:
            site.store.require_there()  # what is not in another folder is not deleted
            site.store.unlink(deletion.backup.filename, deletion.backup.backup_id)
        except OSError as error:
            logger.warning("cannot delete %r: %s", deletion.backup.filename, error)
            failures.append(Failure(deletion, error))
        else:
            gone.append(deletion)
    if gone:
        try:
            site.store.flush()
        except OSError as error:
            logger.warning("cannot flush %s: %s", site.store.folder, error)
            failures += [Failure(deletion, error) for deletion in gone]
    return failures


def outcome_drafts(deletions: Sequence[Deletion], failures: Sequence[Failure]) -> list[Draft]:
    """What came of announced deletes, as facts."""
    failed = {each.deletion.backup.backup_id for each in failures}
    drafts = [_deleted_draft(each) for each in deletions if each.backup.backup_id not in failed]
    return drafts + [_failed_draft(each.deletion.backup, each.error) for each in failures]


def refusal_locked(
    locked: LockedHead,
    context: Context,
    backup_id: str,
    reason: DeletionReason,
    *,
    forced: bool = False,
    is_last_good: bool = False,
    restoring: set[str] | None = None,
) -> tuple[Backup | None, str | None]:
    """A backup as the ledger has it under the lock, and why it may not be deleted."""
    backup = backup_locked(locked, backup_id)
    if backup is None:
        return None, "the ledger does not know it"
    if restoring is None:
        restoring = backups_being_restored(locked.connection)
    refusal = why_refused(
        backup,
        reason,
        context.now,
        forced=forced,
        is_being_restored=backup_id in restoring,
        is_last_good=is_last_good,
    )
    return backup, refusal


def _begin_deletion(site: Site, context: Context, backup: Backup, *, force: bool) -> Deletion:
    deletion = Deletion(backup, "person", forced=force)
    site.hold_owner_lock()  # its lock is held before anything is announced

    def decide(locked: LockedHead) -> list[Draft]:
        found, refusal = refusal_locked(locked, context, backup.backup_id, "person", forced=force)
        if found is None:
            raise LedgerError(f"the ledger does not know backup {backup.filename!r}")
        require_deletable(backup.filename, refusal)
        return [started_draft(site, deletion)]

    site.notify(site.ledger.decide(context, decide))
    return deletion


def _deleted_draft(deletion: Deletion) -> Draft:
    backup = deletion.backup
    details = BackupDeleted(
        store=backup.store,
        filename=backup.filename,
        reason=deletion.reason,
        forced=deletion.forced,
        rule=deletion.rule,
    )
    return Draft(backup_stream(backup.backup_id), details, backup.user_id)


def _failed_draft(backup: Backup, error: Exception) -> Draft:
    details = DeletionFailed(
        backup_id=backup.backup_id, filename=backup.filename, error_type=type(error).__name__
    )
    message = message_of(error)
    return Draft(retention_stream(backup.user_id), details, backup.user_id, error_message=message)
