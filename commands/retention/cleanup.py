"""Two clean-ups that a person asks for: empty backups, and old protected ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from commands.backups.delete import (
    Deletion,
    carry_out,
    refusal_locked,
    started_draft,
)
from commands.backups.last_good import last_good
from commands.errors import InvalidArgument, Refused
from commands.retention.parts import cut_into_parts
from ledger.append.clock_doubt import clock_doubt
from ledger.append.ledger import Draft
from ledger.clock import to_microseconds
from ledger.events.retention import DeletedBackup, EmptyBackupsCleaned, OldProtectedCleaned
from ledger.vocabulary import DeletionReason, retention_stream
from projections.queries.catalog import backups_of_store
from projections.queries.locked import backups_being_restored, backups_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from ledger.events import Details
    from projections.folds.backup import Backup

MAX_DAYS = 36_500


def clean_up_empty(site: Site, context: Context) -> list[Deletion]:
    """Delete backups of zero bytes; what was deleted."""
    deletions = _delete_where(
        site, context, lambda backup: backup.size == 0, "cleanup_empty", "empty"
    )

    def details(part: list[DeletedBackup], number: int, parts: int) -> Details:
        return EmptyBackupsCleaned(
            deleted=part, deleted_count=len(deletions), part=number, parts=parts
        )

    _record(site, context, deletions, details)
    return deletions


def clean_up_old_protected(site: Site, context: Context, days_old: int) -> list[Deletion]:
    """Delete protected backups older than so many days; what was deleted.

    Raises:
        InvalidArgument: days_old is not an integer from 0 to 36,500.
        Refused: the clock is in doubt, so nobody can tell what is old.
    """
    if type(days_old) is not int or not 0 <= days_old <= MAX_DAYS:
        raise InvalidArgument(f"days_old is {days_old!r}; give an integer from 0 to {MAX_DAYS}")
    with site.ledger.engine.connect() as connection:
        doubt = clock_doubt(connection, to_microseconds(site.clock.now()))
    if doubt is not None:
        raise Refused(
            f"{doubt}: nothing is deleted by age; check this machine's clock (date -u), "
            "then try again"
        )
    limit = context.now - timedelta(days=days_old)
    deletions = _delete_where(
        site,
        context,
        lambda backup: backup.is_protected and backup.created_at < limit,
        "cleanup_old_protected",
        f"protected, older than {days_old} days",
    )

    def details(part: list[DeletedBackup], number: int, parts: int) -> Details:
        return OldProtectedCleaned(
            days_old=days_old,
            deleted=part,
            deleted_count=len(deletions),
            part=number,
            parts=parts,
        )

    _record(site, context, deletions, details)
    return deletions


def _delete_where(
    site: Site,
    context: Context,
    is_chosen: Callable[[Backup], bool],
    reason: DeletionReason,
    rule: str,
) -> list[Deletion]:
    site.hold_owner_lock()  # its lock is held before anything is announced
    own_source = site.known_source_id()
    with site.read_models.reading() as connection:
        there = backups_of_store(connection, site.store.store_id)
    chosen = [backup for backup in reversed(there) if is_chosen(backup)]

    def decide(locked: LockedHead) -> tuple[list[Draft], list[Deletion]]:
        announced: list[Deletion] = []
        restoring = backups_being_restored(locked.connection)
        going: set[str] = set()
        for backup in chosen:
            is_last = _is_last_good(locked, backup, there, going, own_source)
            found, refusal = refusal_locked(
                locked,
                context,
                backup.backup_id,
                reason,
                is_last_good=is_last,
                restoring=restoring,
            )
            if found is not None and refusal is None:
                going.add(backup.backup_id)
                announced.append(Deletion(found, reason, rule=rule))
        return [started_draft(site, each) for each in announced], announced

    recorded, announced = site.ledger.decide_with_result(context, decide)
    if recorded:
        site.notify(recorded)
    failures = carry_out(site, context, announced)
    failed = {each.deletion.backup.backup_id for each in failures}
    return [each for each in announced if each.backup.backup_id not in failed]


def _is_last_good(
    locked: LockedHead,
    backup: Backup,
    there: Sequence[Backup],
    going: set[str],
    own_source: str | None,
) -> bool:
    """Whether no other good backup of the same source would stay, by the ledger itself."""
    source = backup.source or own_source
    rivals = [
        other.backup_id
        for other in there
        if other.is_good and (other.source or own_source) == source
    ]
    known = backups_locked(locked, [each for each in rivals if each not in going])
    now = [replace(each, source=source) for each in known.values() if each is not None]
    others = {each.backup_id for each in now} - {backup.backup_id}
    return any(each.backup_id == backup.backup_id for each in last_good(now, others))


def _record(
    site: Site,
    context: Context,
    deletions: Sequence[Deletion],
    details: Callable[[list[DeletedBackup], int, int], Details],
) -> None:
    gone = [
        DeletedBackup(backup_id=each.backup.backup_id, filename=each.backup.filename)
        for each in deletions
    ]
    parts = cut_into_parts([(each, each.model_dump()) for each in gone])
    drafts = [
        Draft(retention_stream(None), details(part, number, len(parts)))
        for number, part in enumerate(parts, 1)
    ]
    site.notify(site.ledger.append(context, *drafts))
