"""Where off-site copies stand: one row a destination, from the read models alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from commands.offsite.deleting.collect import is_append_only
from commands.offsite.deleting.due import next_deletion_at
from commands.offsite.destinations import live_destinations
from commands.offsite.due import missing_backups
from commands.offsite.index_folder import published_size
from ledger.events.offsite import CopyCompleted
from ledger.vocabulary import CopyStatus, copy_stream
from projections.queries.audit import AuditFilter, matching_positions
from projections.queries.offsite import (
    LIVE,
    all_destinations,
    copies_at,
    copies_of_backup,
    deleted_pack_bytes,
    failed_last,
)

if TYPE_CHECKING:
    from datetime import datetime

    from commands.site.site import Site
    from projections.folds.backup import Backup
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """Where one destination stands.

    `missing`: good backups that are here and not there, oldest first. `stored_bytes`: what all
    copies ever sent, less the packs that were deleted. `ledger_size`: how many records are
    published there; None where none are. `deleting`: copies that are condemned and still there.
    `append_only`: this machine's credentials may not delete there.
    """

    destination: Destination
    copies: list[OffsiteCopy]
    corrupt: list[OffsiteCopy]
    missing: list[Backup]
    stored_bytes: int
    ledger_size: int | None = None
    deleting: list[OffsiteCopy] = field(default_factory=list)
    append_only: bool = False
    failed: OffsiteCopy | None = None
    """The last copy, where it failed."""

    @property
    def condemned_packs(self) -> int:
        return sum(len(names) for names in self.destination.condemned.values())

    @property
    def next_deletion_at(self) -> datetime | None:
        """When the first of what is condemned may be deleted."""
        packs = next_deletion_at(self.destination)
        copies = [each.deletable_at for each in self.deleting]
        return min((each for each in (packs, *copies) if each is not None), default=None)

    @property
    def newest_copy_at(self) -> datetime | None:
        """When the newest backup that is there was copied."""
        moments = [each.completed_at for each in self.copies if each.completed_at is not None]
        return max(moments, default=None)


@dataclass(frozen=True, slots=True)
class PlacedCopy:
    """A copy of a backup and where it is. `event_position`: of the event that completed it."""

    destination: Destination
    copy: OffsiteCopy
    event_position: int | None


def placed_copies(site: Site, backup: Backup) -> list[PlacedCopy]:
    """The copies of a backup that are there, oldest first; also damaged and detached ones."""
    with site.read_models.reading() as connection:
        places = {each.repository_id: each for each in all_destinations(connection)}
        copies = [
            each
            for each in copies_of_backup(connection, backup.backup_id)
            if each.status in (*LIVE, CopyStatus.DETACHED)
        ]
    return [
        PlacedCopy(places[each.destination], each, _completed_at_position(site, each))
        for each in copies
    ]


def _completed_at_position(site: Site, copy: OffsiteCopy) -> int | None:
    wanted = AuditFilter(event_type=CopyCompleted.event_type, resource=copy_stream(copy.copy_id))
    with site.read_models.reading() as connection:
        found = matching_positions(connection, wanted)
    return found[0] if found else None


def destination_statuses(site: Site) -> list[DestinationStatus]:
    """Every destination that was not removed, oldest first."""
    return [destination_status(site, each) for each in live_destinations(site)]


def destination_status(site: Site, destination: Destination) -> DestinationStatus:
    with site.read_models.reading() as connection:
        copies = copies_at(connection, destination.repository_id)
        failed = failed_last(connection, destination.repository_id)
    missing = missing_backups(site, destination) if site.has_store else []
    with site.ledger.engine.connect() as connection:
        deleted = deleted_pack_bytes(connection, destination.repository_id)
    sent = sum(each.sent_bytes or 0 for each in copies)
    return DestinationStatus(
        destination,
        [each for each in copies if each.status == CopyStatus.OK],
        [each for each in copies if each.status == CopyStatus.CORRUPT],
        missing,
        max(0, sent - deleted),
        published_size(site, destination) if site.has_store else None,
        [each for each in copies if each.status == CopyStatus.DELETING],
        is_append_only(site, destination),
        failed,
    )
