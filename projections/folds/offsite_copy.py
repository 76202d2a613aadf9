"""What a copy's events add up to: one row of `offsite_copies`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import get_args

from ledger.events.offsite import (
    CopyAbandoned,
    CopyCompleted,
    CopyCorrupt,
    CopyFailed,
    CopyStarted,
    CopyVerified,
)
from ledger.events.offsite_deletion import CopyDeleted, CopyDeletionStarted, CopyFound
from ledger.records.record import Event
from ledger.vocabulary import CopyLevel, CopyStatus

LEVELS: tuple[CopyLevel, ...] = get_args(CopyLevel)
"""From the least close look to the closest."""


@dataclass(slots=True)
class OffsiteCopy:
    """One copy of a backup at a destination. Times are aware UTC, sizes in bytes.

    `proved`: it was opened with a key. `problem`: why it is corrupt, or was not made;
    `corrupt_level`: how close the look was that found it. `deletable_at`: from when on the objects
    of a copy that is being deleted may go.
    """

    copy_id: str
    destination: str
    backup_id: str
    filename: str
    owner: str
    started_at: datetime
    source: str | None = None
    user_id: int | None = None
    status: str = CopyStatus.COPYING
    completed_at: datetime | None = None
    size: int | None = None
    sha256: str | None = None
    manifest_sha256: str | None = None
    packs: int | None = None
    packs_root: str | None = None
    pages: int | None = None
    new_pages: int | None = None
    sent_bytes: int | None = None
    readable_by: list[str] = field(default_factory=list)
    protected_until: datetime | None = None
    verified_level: str | None = None
    verified_at: datetime | None = None
    proved: bool = False
    problem: str | None = None
    corrupt_level: str | None = None
    deletable_at: datetime | None = None
    deleted_at: datetime | None = None
    position: int = 0


def evolve_copy(copy: OffsiteCopy | None, event: Event) -> OffsiteCopy | None:
    """Fold one event of a `copy/` stream."""
    details = event.details
    if isinstance(details, CopyFound):
        return _found(event, details)
    if copy is None:
        return _started(event, details) if isinstance(details, CopyStarted) else None
    if isinstance(details, CopyCompleted):
        _completed(copy, details, event.timestamp)
    elif isinstance(details, CopyFailed | CopyAbandoned):
        copy.status = CopyStatus.FAILED
        copy.problem = event.error_message
    elif isinstance(details, CopyVerified) and copy.status in (CopyStatus.OK, CopyStatus.CORRUPT):
        _verified(copy, details, event.timestamp)
    elif isinstance(details, CopyCorrupt) and copy.status in (CopyStatus.OK, CopyStatus.CORRUPT):
        copy.status = CopyStatus.CORRUPT
        copy.verified_level = copy.verified_at = None
        copy.problem, copy.corrupt_level = details.problem, details.level
    elif isinstance(details, CopyDeletionStarted):
        copy.status, copy.deletable_at = CopyStatus.DELETING, details.not_before
    elif isinstance(details, CopyDeleted):
        copy.status, copy.deleted_at = CopyStatus.DELETED, event.timestamp
    return copy


def _verified(copy: OffsiteCopy, details: CopyVerified, when: datetime) -> None:
    """A look that is less close than the one that found the damage says nothing of it."""
    if copy.corrupt_level is not None:
        if LEVELS.index(details.level) < LEVELS.index(copy.corrupt_level):
            return
        copy.status, copy.problem, copy.corrupt_level = CopyStatus.OK, None, None
    copy.verified_level, copy.verified_at = details.level, when
    copy.proved = copy.proved or details.opened


def _started(event: Event, details: CopyStarted) -> OffsiteCopy:
    return OffsiteCopy(
        copy_id=event.resource_id,
        destination=details.destination,
        backup_id=details.backup_id,
        filename=details.filename,
        owner=details.owner,
        started_at=event.timestamp,
        source=details.source,
        user_id=None if event.user_id is None else int(event.user_id),
    )


def _found(event: Event, details: CopyFound) -> OffsiteCopy:
    """A copy of a later or another state of this ledger, read with a key."""
    return OffsiteCopy(
        copy_id=event.resource_id,
        destination=details.destination,
        backup_id=details.backup_id,
        filename=details.filename,
        owner="",
        started_at=event.timestamp,
        source=details.source,
        user_id=None if event.user_id is None else int(event.user_id),
        status=CopyStatus.OK,
        completed_at=event.timestamp,
        size=details.size,
        sha256=details.sha256,
        manifest_sha256=details.manifest_sha256,
        packs=details.packs,
        packs_root=details.packs_root,
        pages=details.pages,
        readable_by=list(details.readable_by),
        proved=False,
    )


def _completed(copy: OffsiteCopy, details: CopyCompleted, when: datetime) -> None:
    copy.status, copy.completed_at, copy.problem = CopyStatus.OK, when, None
    copy.size, copy.sha256 = details.size, details.sha256
    copy.manifest_sha256, copy.packs_root = details.manifest_sha256, details.packs_root
    copy.packs, copy.pages, copy.new_pages = details.packs, details.pages, details.new_pages
    copy.sent_bytes, copy.readable_by = details.sent_bytes, list(details.readable_by)
    copy.protected_until = details.protected_until
