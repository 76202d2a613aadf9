"""Applying retention: plan and act are the same function, decided under the lock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from commands.delete_backup import (
    Deletion,
    outcome_drafts,
    refusal_locked,
    started_draft,
    unlink_files,
)
from commands.event_parts import cut_into_parts
from commands.ledger_reading import (
    backup_locked,
    backups_being_restored,
    events_after,
    new_backups,
    position_of,
)
from commands.retention_rules import Candidate, Kept, RetentionPlan, plan
from ledger.application import Draft
from ledger.events.catalog import BackupDeleted
from ledger.events.retention import (
    DeletedBackup,
    KeptBackup,
    RetentionApplied,
    RetentionFailed,
    RetentionSpared,
)
from ledger.vocabulary import BackupStatus, backup_stream, retention_stream
from projections.catalog_queries import backups_of_owner, backups_of_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.site import Site
    from ledger.application import Context
    from ledger.recorder import LockedHead
    from projections.backup import Backup


@dataclass(frozen=True, slots=True)
class RetentionOutcome:
    """What a plan came to."""

    plan: RetentionPlan
    backups: dict[str, Backup]
    deletions: tuple[Deletion, ...]
    deleted: tuple[Deletion, ...] = ()
    """Those whose file is gone; the others failed, and are tried again."""


def preview_retention(
    site: Site, context: Context, keep_count: int, user_id: int | None
) -> RetentionOutcome:
    """What applying would do now; changes nothing.

    Raises:
        InvalidKeepCount: not 1 to 30.
    """
    backups, _position = _where_to_look(site, user_id)
    with site.ledger.engine.connect() as connection:
        restoring = backups_being_restored(connection)
    return _planned(site, context, keep_count, backups, restoring)


def apply_retention(
    site: Site, context: Context, keep_count: int, user_id: int | None
) -> RetentionOutcome:
    """Delete what the plan says; every keep and every delete is recorded with its reasons.

    `user_id`: whose backups; None for the global policy over all of the store.

    Raises:
        InvalidKeepCount: not 1 to 30; recorded, nothing was deleted.
    """
    try:
        outcome = announce_retention(site, context, keep_count, user_id)
        drafts = finish_retention(site, outcome, keep_count, user_id)
    except Exception as error:
        failed = failed_draft(keep_count, user_id, error)
        site.announce(site.ledger.append(context, failed))
        raise
    site.announce(site.ledger.append(context, *drafts))
    gone = {draft.stream for draft in drafts if isinstance(draft.details, BackupDeleted)}
    done = [each for each in outcome.deletions if backup_stream(each.backup.backup_id) in gone]
    return replace(outcome, deleted=tuple(done))


def announce_retention(
    site: Site,
    context: Context,
    keep_count: int,
    user_id: int | None,
    *,
    fence: Sequence[tuple[str, str]] = (),
) -> RetentionOutcome:
    """Plan under the lock and announce what will be deleted."""
    site.owner  # noqa: B018  (its lock is held before anything is announced)
    site.known_source_id()
    before, position = _where_to_look(site, user_id, at_head=not fence)
    outcome: list[RetentionOutcome] = []

    def decide(locked: LockedHead) -> list[Draft]:
        site_fence(site, locked, fence)
        backups = _as_of_now(site, locked, before, position, user_id)
        restoring = backups_being_restored(locked.connection)
        planned = _planned(site, context, keep_count, backups, restoring)
        checked = _checked(locked, context, planned, restoring)
        outcome[:] = [checked]  # it may be decided again
        return [started_draft(site, each) for each in checked.deletions]

    recorded = site.ledger.decide(context, decide)
    if recorded:
        site.announce(recorded, is_last=False)
    return outcome[-1]  # a decision is made again where the connection was lost


def finish_retention(
    site: Site, outcome: RetentionOutcome, keep_count: int, user_id: int | None
) -> list[Draft]:
    """Unlink what was announced; the facts to append."""
    failures = unlink_files(site, outcome.deletions)
    failed = {each.deletion.backup.backup_id for each in failures}
    deleted = [each for each in outcome.deletions if each.backup.backup_id not in failed]
    return [
        *outcome_drafts(outcome.deletions, failures),
        *_spared_drafts(outcome.plan, keep_count, user_id),
        *_applied_drafts(outcome.plan.kept, deleted, keep_count, user_id),
    ]


def failed_draft(keep_count: int, user_id: int | None, error: Exception) -> Draft:
    details = RetentionFailed(
        scope=_scope(user_id),
        keep_count=keep_count if type(keep_count) is int and abs(keep_count) < 2**53 else 0,
        error_type=type(error).__name__,
    )
    message = str(error) or type(error).__name__
    return Draft(retention_stream(user_id), details, user_id, error_message=message)


def site_fence(site: Site, locked: LockedHead, fence: Sequence[tuple[str, str]]) -> None:
    """Check leases (run_id, owner) under the lock.

    Raises:
        LeaseLost: one is gone.
    """
    from ledger.operational import require_lease  # noqa: PLC0415

    for run_id, owner in fence:
        require_lease(locked.connection, run_id, owner, site.clock.monotonic())


def _where_to_look(
    site: Site, user_id: int | None, *, at_head: bool = True
) -> tuple[dict[str, Backup], int]:
    """The backups that a read model knows, and its position."""
    store = site.store.store_id
    with site.read_models.reading(at_head=at_head) as connection:
        position = position_of(connection)
        if user_id is None:
            found = backups_of_store(connection, store)
        else:
            found = backups_of_owner(connection, store, user_id)
    return {each.backup_id: each for each in found}, position


def _as_of_now(
    site: Site,
    locked: LockedHead,
    before: dict[str, Backup],
    position: int,
    user_id: int | None,
) -> dict[str, Backup]:
    """The same, with what was appended since."""
    backups = dict(before)
    for backup_id in new_backups(events_after(locked, position)):
        backup = backup_locked(locked, backup_id)
        belongs = (
            backup is not None
            and backup.store == site.store.store_id
            and user_id in (None, backup.user_id)
        )
        if backup is not None and belongs and backup.is_present:
            backups[backup_id] = backup
        else:
            backups.pop(backup_id, None)
    return backups


def _planned(
    site: Site,
    context: Context,
    keep_count: int,
    backups: dict[str, Backup],
    restoring: set[str],
) -> RetentionOutcome:
    own_source = site.known_source_id()
    candidates = [
        Candidate(
            backup_id=each.backup_id,
            filename=each.filename,
            created_at=each.created_at,
            status=each.status,  # type: ignore[arg-type]
            is_protected=each.is_protected,
            held=each.is_held(context.now),
            being_restored=each.backup_id in restoring,
            source=each.source or own_source,
            position=each.position,
        )
        for each in backups.values()
    ]
    within = site.configuration.keep_within_days
    made = plan(candidates, keep_count, context.now, keep_within_days=within)
    rule = f"keep {keep_count}" + (f", {within} days" if within else "")
    deletions = tuple(
        Deletion(backups[each.backup_id], "retention", rule=rule) for each in made.deleted
    )
    return RetentionOutcome(made, backups, deletions)


def _checked(
    locked: LockedHead, context: Context, outcome: RetentionOutcome, restoring: set[str]
) -> RetentionOutcome:
    """Hold the plan against the ledger itself: a read model only said where to look."""
    witness = _good_witness(locked, outcome)
    deletions = []
    for deletion in outcome.deletions:
        backup, refusal = refusal_locked(
            locked,
            context,
            deletion.backup.backup_id,
            "retention",
            is_last_good=not witness,
            restoring=restoring,
        )
        if backup is not None and refusal is None:
            deletions.append(Deletion(backup, "retention", rule=deletion.rule))
    return RetentionOutcome(outcome.plan, outcome.backups, tuple(deletions))


def _good_witness(locked: LockedHead, outcome: RetentionOutcome) -> bool:
    """Whether, by the ledger, something good stays."""
    for kept in outcome.plan.kept:
        backup = backup_locked(locked, kept.backup_id)
        if backup is not None and backup.status == BackupStatus.OK:
            return True
    return False


def _spared_drafts(made: RetentionPlan, keep_count: int, user_id: int | None) -> list[Draft]:
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


def _applied_drafts(
    kept: Sequence[Kept], deleted: Sequence[Deletion], keep_count: int, user_id: int | None
) -> list[Draft]:
    """One event, or several where the lists are long: deleted first, then kept."""
    entries: list[tuple[DeletedBackup | KeptBackup, object]] = []
    for deletion in deleted:
        gone = DeletedBackup(backup_id=deletion.backup.backup_id, filename=deletion.backup.filename)
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


def _scope(user_id: int | None) -> str:
    return "global" if user_id is None else str(user_id)
