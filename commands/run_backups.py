"""Running claimed backups: one snapshot for all who are due, an entry for each."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.finish_run import complete_run, fail_run
from commands.heartbeat import Heartbeat
from commands.staging import append_or_discard, publish_all
from commands.take_backup import Staged, created_details, size_warnings, stage_snapshot
from commands.unchanged_backup import share_with_last
from ledger.application import Draft
from ledger.errors import LeaseLost
from ledger.events.catalog import BackupCreated
from ledger.operational import name_owner, runs_still_held
from ledger.vocabulary import BackupKind, backup_stream
from projections.backup import evolve_backup
from projections.backup_names import auto_backup_name, free_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.claims import Claim
    from commands.site import Site
    from ledger.application import Context, RecordedEvent
    from ledger.recorder import LockedHead
    from projections.backup import Backup

logger = logging.getLogger("backup_ledger.runs")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A claim's backup: its id and file name."""

    claim: Claim
    backup_id: str
    filename: str


def run_claims(site: Site, context: Context, claims: Sequence[Claim]) -> tuple[int, int]:
    """Back up every claim; how many were completed, and how many failed."""
    independent = site.configuration.independent_copies
    groups = [[claim] for claim in claims] if independent else [list(claims)]
    completed = 0
    with Heartbeat(site):
        for group in groups:
            completed += _run_group(site, context, group)
    return completed, len(claims) - completed


def _run_group(site: Site, context: Context, claims: list[Claim]) -> int:
    """Stage once, append an entry for each claim that still owns its lease, publish, finish."""
    entries: list[_Entry] = []
    try:
        with site.owner.staging(str(uuid4())) as path:
            staged = stage_snapshot(site, path)
            recorded = append_or_discard(
                site, path, lambda: _append(site, context, staged, claims, entries)
            )
            failed = publish_all(site, path, [entry.filename for entry in entries])
    except Exception as error:  # noqa: BLE001  (recorded for each run)
        for claim in claims:
            _record_failure(site, context, claim, error)
        return 0
    # One run finds by itself what was appended; for a herd that would take ever longer.
    site.announce(recorded, is_last=len(entries) > 1)
    backups = _folded(recorded)
    completed = 0
    for entry in entries:
        if entry.filename in failed:
            _record_failure(site, context, entry.claim, failed[entry.filename])
        else:
            completed += _finish(site, context, entry, backups[entry.backup_id])
    return completed


def _append(
    site: Site, context: Context, staged: Staged, claims: list[Claim], entries: list[_Entry]
) -> list[RecordedEvent]:
    source = site.source_id(context)
    warnings = size_warnings(site, staged.snapshot, source, at_head=False)
    # For a herd the first user's: all of them have one file between them.
    shared = share_with_last(site, staged, source, claims[0].user_id, at_head=False)

    def decide(locked: LockedHead) -> list[Draft]:
        entries[:] = _entries(site, context, locked, claims, staged.backup_id)
        return [
            _created_draft(
                site,
                staged,
                entry,
                source,
                shared_with=shared or (None if entry is entries[0] else entries[0].backup_id),
                warnings=warnings,
            )
            for entry in entries
        ]

    return site.ledger.decide(context, decide)


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
    connection, store = locked.connection, site.store
    taken: set[str] = set()

    def is_taken(name: str) -> bool:
        known = name_owner(connection, store.store_id, name)
        return name in taken or known is not None or store.has(name)

    held = runs_still_held(connection, site.instance, site.clock.monotonic())
    entries: list[_Entry] = []
    for claim in claims:
        if claim.run_id not in held:
            logger.warning("%s", LeaseLost(claim.run_id))
            site.active_runs.discard(claim.run_id)
            continue
        wanted = auto_backup_name(claim.user_id, context.now)
        filename = free_name(wanted, is_taken)
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
    warnings: list[str],
) -> Draft:
    details: BackupCreated = created_details(
        site,
        staged.snapshot,
        source=source,
        filename=entry.filename,
        kind=BackupKind.SCHEDULED,
        run_id=entry.claim.run_id,
        shared_with=shared_with,
        warnings=warnings,
    )
    return Draft(
        backup_stream(entry.backup_id),
        details,
        entry.claim.user_id,
        causation_id=entry.claim.run_id,
        correlation_id=entry.claim.run_id,
    )


def _finish(site: Site, context: Context, entry: _Entry, backup: Backup) -> bool:
    """One user's failure never stops another's."""
    try:
        complete_run(site, context, entry.claim, backup)
    except LeaseLost as lost:
        logger.warning("%s", lost)
        site.active_runs.discard(entry.claim.run_id)
        return False
    except Exception as error:  # noqa: BLE001  (recorded)
        _record_failure(site, context, entry.claim, error)
        return False
    return True


def _record_failure(site: Site, context: Context, claim: Claim, error: Exception) -> None:
    try:
        fail_run(site, context, claim, error)
    except Exception:
        logger.exception("the failure of run %s could not be recorded", claim.run_id)
