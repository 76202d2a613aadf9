"""What a backup's events add up to: one row of `backup_catalog`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ledger.clock import format_instant, parse_instant
from ledger.events.catalog import (
    BackupAccepted,
    BackupCorrupt,
    BackupCreated,
    BackupDeleted,
    BackupFound,
    BackupMissing,
    BackupVerified,
    DeletionStarted,
    HoldPlaced,
    HoldReleased,
)
from ledger.records.record import Event
from ledger.vocabulary import EVERYTHING, BackupStatus
from projections.folds.backup_names import is_protected


@dataclass(slots=True)
class Backup:
    """One backup, from its creation to its deletion. Times are aware UTC, size in bytes."""

    backup_id: str
    filename: str
    store: str
    kind: str
    size: int
    sha256: str
    status: str
    is_protected: bool
    created_at: datetime
    source: str | None = None
    user_id: int | None = None
    run_id: str | None = None
    holds: list[dict[str, Any]] = field(default_factory=list)
    shared_with: str | None = None
    verified_level: str | None = None
    verified_at: datetime | None = None
    deleted_at: datetime | None = None
    position: int = 0
    condition: str | None = None
    """Null for an adopted file, of which nobody knows what its database was like."""
    findings: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    cipher: str | None = None
    local_day: str | None = None
    collapsed_from: str | None = None
    accepted_at: datetime | None = None

    def holds_at(self, now: datetime) -> list[dict[str, Any]]:
        """The holds that have not run out."""
        return [
            hold
            for hold in self.holds
            if hold["until"] is None or parse_instant(hold["until"]) > now
        ]

    def is_held(self, now: datetime) -> bool:
        return bool(self.holds_at(now))

    @property
    def was_adopted(self) -> bool:
        """It was found in the folder: `created_at` is its mtime, which anybody can set."""
        return self.source is None

    @property
    def is_present(self) -> bool:
        """Its file should be there."""
        return self.status in (BackupStatus.OK, BackupStatus.CORRUPT)

    @property
    def is_good(self) -> bool:
        """Its file holds what was recorded, of a database that was sound."""
        return self.status == BackupStatus.OK and self.condition != "flawed"

    @property
    def is_collapse(self) -> bool:
        """It holds much less than the one before it, and nobody said that this was meant."""
        return self.collapsed_from is not None and self.accepted_at is None


def evolve_backup(backup: Backup | None, event: Event) -> Backup | None:
    """Fold one event of a `backup/` stream."""
    details = event.details
    if backup is None:
        if isinstance(details, BackupCreated | BackupFound):
            return _born(event, details)
        return None
    if isinstance(details, BackupMissing | BackupCorrupt):
        _lost_or_corrupt(backup, details)
    elif isinstance(details, BackupVerified):
        _verified(backup, details, event.timestamp)
    elif isinstance(details, DeletionStarted):
        backup.status = BackupStatus.DELETING
    elif isinstance(details, BackupDeleted):
        backup.status = BackupStatus.DELETED
        backup.deleted_at = event.timestamp
    elif isinstance(details, BackupAccepted):
        backup.accepted_at = event.timestamp
    elif isinstance(details, HoldPlaced):
        hold = {
            "hold_id": details.hold_id,
            "reason": details.reason,
            "until": None if details.until is None else format_instant(details.until),
            "placed_by": {"id": event.actor.id, "kind": event.actor.kind},
        }
        backup.holds = [*backup.holds, hold]
    elif isinstance(details, HoldReleased):
        backup.holds = [each for each in backup.holds if each["hold_id"] != details.hold_id]
    return backup


def _born(event: Event, details: BackupCreated | BackupFound) -> Backup:
    is_good = not isinstance(details, BackupFound) or details.status == "ok"
    backup = Backup(
        backup_id=event.resource_id,
        filename=details.filename,
        store=details.store,
        kind=details.kind,
        size=details.size,
        sha256=details.sha256,
        status=BackupStatus.OK if is_good else BackupStatus.CORRUPT,
        is_protected=is_protected(details.filename, details.kind),
        created_at=event.timestamp,
        user_id=None if event.user_id is None else int(event.user_id),
        # Nothing enters the catalog as good without an integrity check.
        verified_level="integrity" if is_good else None,
        verified_at=event.timestamp if is_good else None,
    )
    if isinstance(details, BackupFound):
        backup.created_at = details.created_at
    else:
        backup.source = details.source
        backup.run_id = details.run_id
        backup.shared_with = details.shared_with
        backup.condition = details.condition
        backup.findings = details.findings
        backup.unchecked = details.unchecked
        backup.warnings = details.warnings
        backup.cipher = details.cipher
        if EVERYTHING in details.unchecked:
            backup.verified_level = "digest"  # no key opened it
        backup.local_day = details.local_day
        backup.collapsed_from = details.collapsed_from
    return backup


def _lost_or_corrupt(backup: Backup, details: BackupMissing | BackupCorrupt) -> None:
    """A check that ends after the deletion brings nothing back, nor one that found no file."""
    if isinstance(details, BackupMissing):
        if backup.is_present:
            backup.status = BackupStatus.MISSING
    elif backup.is_present or (
        backup.status == BackupStatus.MISSING and details.found_sha256 is not None
    ):
        backup.status = BackupStatus.CORRUPT
        backup.verified_level = backup.verified_at = None


def _verified(backup: Backup, details: BackupVerified, when: datetime) -> None:
    """A look at the name alone says nothing of the content of a backup that was corrupt."""
    proves_content = details.level != "exists"
    is_good = proves_content or backup.verified_level is not None
    if is_good:
        backup.verified_level = details.level
        backup.verified_at = when
    if backup.status == BackupStatus.MISSING:
        backup.status = BackupStatus.OK if is_good else BackupStatus.CORRUPT
    elif proves_content and backup.is_present:
        backup.status = BackupStatus.OK
