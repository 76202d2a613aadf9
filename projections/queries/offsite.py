"""Questions to the read models of off-site copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import and_, case, exists, select

from ledger.append.batched import batched
from ledger.append.erasing.stand_ins import StandIns
from ledger.append.tables import events
from ledger.events.offsite import CopyFetched, CopyFetchStarted, CopyNotFetched
from ledger.events.offsite_deletion import (
    CollectStarted,
    CopyDeletionStarted,
    PacksCondemned,
    PacksDeleted,
)
from ledger.records.record import decode_event
from ledger.vocabulary import BackupStatus, CopyStatus, copy_stream, destination_stream
from projections.folds.backup import Backup
from projections.folds.offsite_copy import OffsiteCopy, evolve_copy
from projections.folds.offsite_destination import Destination, evolve_destination
from projections.queries.catalog import in_store
from projections.queries.locked import fold_locked
from projections.tables.columns import backup_catalog as catalog
from projections.tables.columns import offsite_copies as copies
from projections.tables.columns import offsite_destinations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Connection

    from ledger.append.recorder import LockedHead

DetailsAt = TypeVar("DetailsAt", PacksCondemned, PacksDeleted)

_RECORD = events.c["stream", "stream_version", "record"]

LIVE = (CopyStatus.OK, CopyStatus.CORRUPT)
"""Copies whose packs and manifest must stay."""

_STATUS = case(
    (
        and_(offsite_destinations.c.status == "removed", copies.c.status.in_(LIVE)),
        CopyStatus.DETACHED,
    ),
    else_=copies.c.status,
)
"""A copy's own events do not say that its destination was removed."""
_COPIES = select(
    *(column for column in copies.c if column.name != "status"), _STATUS.label("status")
).join(
    offsite_destinations,
    offsite_destinations.c.repository_id == copies.c.destination,
    isouter=True,
)

COPIED = (CopyStatus.OK, CopyStatus.COPYING)
HANDLED = (*COPIED, CopyStatus.DELETING, CopyStatus.DELETED)
"""What was deleted there, as by retention, is not copied again."""


def all_destinations(connection: Connection) -> list[Destination]:
    """Every destination, in the order in which they were added; removed ones too."""
    rows = connection.execute(
        select(offsite_destinations).order_by(offsite_destinations.c.position)
    )
    return [Destination(**row) for row in rows.mappings()]


def copies_at(
    connection: Connection, repository_id: str, statuses: Collection[str] | None = None
) -> list[OffsiteCopy]:
    """Copies of a destination, oldest first; of any status for None."""
    statement = _COPIES.where(copies.c.destination == repository_id)
    if statuses is not None:
        statement = statement.where(_STATUS.in_(statuses))
    rows = connection.execute(statement.order_by(copies.c.position))
    return [OffsiteCopy(**row) for row in rows.mappings()]


def failed_last(connection: Connection, repository_id: str) -> OffsiteCopy | None:
    """The last copy that was begun for a destination and has ended, where it failed."""
    statement = (
        _COPIES.where(copies.c.destination == repository_id)
        .where(copies.c.status != CopyStatus.COPYING)
        .order_by(copies.c.started_at.desc(), copies.c.position.desc())
        .limit(1)
    )
    row = connection.execute(statement).mappings().first()
    return OffsiteCopy(**row) if row is not None and row["status"] == CopyStatus.FAILED else None


def copies_of_backup(connection: Connection, backup_id: str) -> list[OffsiteCopy]:
    """Every copy of a backup, oldest first."""
    rows = connection.execute(
        _COPIES.where(copies.c.backup_id == backup_id).order_by(copies.c.position)
    )
    return [OffsiteCopy(**row) for row in rows.mappings()]


def copies_with_ids(connection: Connection, copy_ids: Collection[str]) -> dict[str, OffsiteCopy]:
    """Those of these copies that are known, at whatever destination."""
    found: dict[str, OffsiteCopy] = {}
    for batch in batched(sorted(copy_ids)):
        rows = connection.execute(_COPIES.where(copies.c.copy_id.in_(batch)))
        found |= {row["copy_id"]: OffsiteCopy(**row) for row in rows.mappings()}
    return found


def backups_without_copy(
    connection: Connection, store: str, repository_id: str, handled: Collection[str] = HANDLED
) -> list[Backup]:
    """Good backups of a store without a copy at a destination in one of these states, by age."""
    has_copy = exists().where(
        copies.c.backup_id == catalog.c.backup_id,
        copies.c.destination == repository_id,
        copies.c.status.in_(handled),
    )
    rows = connection.execute(
        select(catalog)
        .where(in_store(store), catalog.c.status == BackupStatus.OK, ~has_copy)
        .order_by(catalog.c.position)
    )
    return [Backup(**row) for row in rows.mappings()]


def copy_locked(locked: LockedHead, copy_id: str) -> OffsiteCopy | None:
    return fold_locked(locked, copy_stream(copy_id), evolve_copy)


def destination_locked(locked: LockedHead, repository_id: str) -> Destination | None:
    return fold_locked(locked, destination_stream(repository_id), evolve_destination)


def condemned_packs(connection: Connection, repository_id: str) -> set[str]:
    """Every pack of a destination that was ever condemned, as the ledger has it: permanently."""
    every = _details_at(connection, repository_id, PacksCondemned)
    return {pack for details in every for pack in details.packs}


def deleted_pack_bytes(connection: Connection, repository_id: str) -> int:
    """Bytes of the packs that were deleted at a destination, as the ledger has it."""
    every = _details_at(connection, repository_id, PacksDeleted)
    return sum(details.bytes for details in every if details.part == 1)


def _details_at(
    connection: Connection, repository_id: str, kind: type[DetailsAt]
) -> Iterator[DetailsAt]:
    """Of the events of one kind in a destination's stream, in no order."""
    rows = connection.execute(
        select(*_RECORD).where(
            events.c.stream == destination_stream(repository_id),
            events.c.event_type == kind.event_type,
        )
    ).all()
    stand_ins = StandIns(connection)
    for row in rows:
        details = decode_event(stand_ins.record(*row)).details
        assert isinstance(details, kind)
        yield details


def repositories_collected(connection: Connection) -> list[str]:
    """Destinations where something was ever deleted, or somebody began to."""
    beginning = destination_stream("")
    found = connection.execute(
        select(events.c.stream)
        .distinct()
        .where(
            (events.c.stream >= beginning) & (events.c.stream < "destination0"),
            events.c.event_type == CollectStarted.event_type,
        )
    ).scalars()
    return sorted(stream.removeprefix(beginning) for stream in found)


def deletion_of_copy(connection: Connection, copy_id: str) -> CopyDeletionStarted:
    """Why a copy is being deleted, as the ledger has it."""
    row = connection.execute(
        select(*_RECORD)
        .where(
            events.c.stream == copy_stream(copy_id),
            events.c.event_type == CopyDeletionStarted.event_type,
        )
        .order_by(events.c.position.desc())
        .limit(1)
    ).one()
    details = decode_event(StandIns(connection).record(*row)).details
    assert isinstance(details, CopyDeletionStarted)
    return details


def open_fetches(connection: Connection) -> list[tuple[str, int | None, CopyFetchStarted]]:
    """Fetches without a recorded outcome, as the ledger has it: stream, whose, what began."""
    kinds = [each.event_type for each in (CopyFetchStarted, CopyFetched, CopyNotFetched)]
    rows = connection.execute(
        select(*_RECORD)
        .where(
            (events.c.stream >= "copy/") & (events.c.stream < "copy0"),
            events.c.event_type.in_(kinds),
        )
        .order_by(events.c.position)
    )
    found: dict[str, tuple[str, int | None, CopyFetchStarted]] = {}
    stand_ins = StandIns(connection)
    for row in rows.all():
        event = decode_event(stand_ins.record(*row))
        details = event.details
        if isinstance(details, CopyFetchStarted):
            owner = None if event.user_id is None else int(event.user_id)
            found[details.fetch_id] = (event.stream, owner, details)
        elif isinstance(details, CopyFetched | CopyNotFetched):
            found.pop(details.fetch_id, None)
    return list(found.values())
