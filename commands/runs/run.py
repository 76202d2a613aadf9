"""Running claimed backups: one snapshot for all who are due, an entry for each."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.backups.hooks import facts_of, failure_facts, run_hook
from commands.backups.judge import Judgement, judge
from commands.backups.staging import Staged, append_or_discard, publish_all, stage_snapshot
from commands.backups.take import created_details
from commands.backups.unchanged import share_with_last
from commands.runs.batches import batches
from commands.runs.complete import Made, complete_runs
from commands.runs.fail import Failure, fail_runs
from commands.site.heartbeat import Heartbeat
from ledger.append.leases_and_names import name_owner, name_owners, runs_still_held
from ledger.append.ledger import Draft
from ledger.errors import LeaseLost, LedgerBusy
from ledger.events.catalog import BackupCreated
from ledger.vocabulary import BackupKind, backup_stream
from projections.folds.backup import evolve_backup
from projections.folds.backup_names import auto_backup_name, free_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.runs.claim import Claim
    from commands.site.site import Site
    from ledger.append.ledger import Context, RecordedEvent
    from ledger.append.recorder import LockedHead
    from projections.folds.backup import Backup

logger = logging.getLogger("backup_ledger.runs")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A claim's backup: its id and file name."""

    claim: Claim
    backup_id: str
    filename: str


def run_claims(site: Site, context: Context, claims: Sequence[Claim]) -> tuple[int, int]:
    """Back up every claim; how many were completed, and how many failed.

    Raises:
        LedgerBusy: nothing can be recorded now. What is open of these runs is ended by the next
            check, or by others once the leases are over.
    """
    independent = site.configuration.independent_copies
    sound = [claim for claim in claims if claim.problem is None]
    groups = [[claim] for claim in sound] if independent else [sound] if sound else []
    completed = 0
    for claim in claims:
        if claim.problem is not None:
            _fail(site, context, [claim], claim.problem)
    try:
        with Heartbeat(site):
            for group in groups:
                completed += _run_group(site, context, group)
    except LedgerBusy:
        site.owner.leases.difference_update(claim.run_id for claim in claims)
        raise
    return completed, len(claims) - completed


def _run_group(site: Site, context: Context, claims: list[Claim]) -> int:
    """Stage once, append an entry for each claim that still owns its lease, publish, finish."""
    users = ",".join(str(claim.user_id) for claim in claims)
    facts = {"KIND": BackupKind.SCHEDULED.value, "USERS": users}
    run_hook(site, context, "hook_before", facts)
    try:
        with site.owner.staging(str(uuid4())) as path:
            staged = stage_snapshot(site, path)
            recorded, entries = append_or_discard(
                site, path, lambda: _append(site, context, staged, claims)
            )
            failed = publish_all(site, path, [entry.filename for entry in entries])
    except LedgerBusy:
        raise
    except Exception as error:  # noqa: BLE001  (recorded for each run)
        _fail(site, context, claims, error)
        return 0
    # One run finds by itself what was appended; for a herd that would take ever longer.
    site.notify(recorded, is_last=len(entries) > 1)
    backups = _folded(recorded)
    for entry in entries:
        if entry.filename in failed:
            _fail(site, context, [entry.claim], failed[entry.filename])
    made = [
        Made(entry.claim, backups[entry.backup_id])
        for entry in entries
        if entry.filename not in failed
    ]
    completed = sum(_finish(site, context, some) for some in batches(made))
    if made:
        run_hook(site, context, "hook_after", facts_of([each.backup for each in made], site))
    return completed


def _append(
    site: Site, context: Context, staged: Staged, claims: list[Claim]
) -> tuple[list[RecordedEvent], list[_Entry]]:
    source = site.source_id(context)
    judged = judge(site, staged.snapshot, source, at_head=False)
    # For a herd the first user's: all of them have one file between them.
    shared = share_with_last(site, staged, source, claims[0].user_id, at_head=False)

    def decide(locked: LockedHead) -> tuple[list[Draft], list[_Entry]]:
        entries = _entries(site, context, locked, claims, staged.backup_id)
        drafts = [
            _created_draft(
                site,
                staged,
                entry,
                source,
                shared_with=shared or (None if entry is entries[0] else entries[0].backup_id),
                judged=judged,
            )
            for entry in entries
        ]
        return drafts, entries

    return site.ledger.decide_with_result(context, decide)


def _folded(recorded: Sequence[RecordedEvent]) -> dict[str, Backup]:
    backups = {}
    for each in recorded:
        backup = evolve_backup(None, each.event)
        if backup is not None:
            backup.position = each.position
            backups[backup.backup_id] = backup
    return backups


def _entries(
    site: Site, context: Context, locked: LockedHead, claims: list[Claim], first_id: str
) -> list[_Entry]:
    """Names and ids; a run that lost its lease is dropped and publishes nothing."""
    store = site.store
    held = runs_still_held(locked.connection, site.instance, site.clock.monotonic())
    wanted = {claim.run_id: auto_backup_name(claim.user_id, context.now) for claim in claims}
    asked = set(wanted.values())
    known = name_owners(locked.connection, store.store_id, sorted(asked))
    taken: set[str] = set()

    def has_owner(name: str) -> bool:
        if name in asked:
            return name in known
        return name_owner(locked.connection, store.store_id, name) is not None

    def is_taken(name: str) -> bool:
        return name in taken or has_owner(name) or store.has(name)

    entries: list[_Entry] = []
    for claim in claims:
        if claim.run_id not in held:
            logger.warning("%s", LeaseLost(claim.run_id))
            site.owner.leases.discard(claim.run_id)
            continue
        filename = free_name(wanted[claim.run_id], is_taken)
        taken.add(filename)
        entries.append(_Entry(claim, str(uuid4()) if entries else first_id, filename))
    return entries


def _created_draft(
    site: Site,
    staged: Staged,
    entry: _Entry,
    source: str,
    *,
    shared_with: str | None,
    judged: Judgement,
) -> Draft:
    details: BackupCreated = created_details(
        site,
        staged.snapshot,
        source=source,
        filename=entry.filename,
        kind=BackupKind.SCHEDULED,
        run_id=entry.claim.run_id,
        shared_with=shared_with,
        judged=replace(judged, local_day=entry.claim.local_day),
    )
    return Draft(
        backup_stream(entry.backup_id),
        details,
        entry.claim.user_id,
        causation_id=entry.claim.run_id,
        correlation_id=entry.claim.run_id,
    )


def _finish(site: Site, context: Context, made: Sequence[Made]) -> int:
    """One user's failure never stops another's."""
    ended = complete_runs(site, context, made)
    for each in made:
        if each.run_id in ended.failed:
            _fail(site, context, [each.claim], ended.failed[each.run_id])
    return len(ended.completed)


def _fail(site: Site, context: Context, claims: Sequence[Claim], error: Exception) -> None:
    for claim in claims:
        logger.warning("backup of user %s failed: %s", claim.user_id, error)
    fail_runs(site, context, [Failure(claim, error) for claim in claims])
    users = [claim.user_id for claim in claims]
    facts = failure_facts(BackupKind.SCHEDULED.value, users, error)
    run_hook(site, context, "hook_failure", facts)
