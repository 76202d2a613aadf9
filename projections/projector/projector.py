"""Bringing read models up to date with the ledger, a batch and a transaction at a time."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import case, delete, exists, false, func, select
from sqlalchemy.exc import DBAPIError

from ledger.append.backend import Tables
from ledger.append.database import translated_errors
from ledger.append.ledger import RecordedEvent
from ledger.append.prepared import Prepared
from ledger.append.reading import (
    NO_LIMIT,
    StoredRecord,
    read_head,
    read_leaf_hash,
    read_records,
    read_streams,
)
from ledger.errors import RecordError
from ledger.events.housekeeping import RecordRedacted
from ledger.records.record import decode_event
from projections.errors import ProjectionsTooNew, UnreadableEvent
from projections.projector.garbage import collected_later
from projections.tables import columns as tables
from projections.tables.projection import upsert
from projections.tables.schema import prepare_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from ledger.append.ledger import Ledger
    from projections.tables.projection import Projection

BATCH_EVENTS = 5_000
"""Events folded in one transaction: large enough to write in bulk, small enough for memory."""

NO_LEAF = b""

_PROGRESS = Prepared(
    select(
        *tables.progress.c["name", "version", "ledger_id", "position", "leaf_hash", "has_rows"],
        case(
            *(
                (tables.progress.c.name == each.name, exists().select_from(each))
                for each in tables.READ_MODELS
            ),
            else_=false(),
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a read model has come, and in which ledger."""

    name: str
    version: int
    ledger_id: str
    position: int
    leaf_hash: bytes
    has_rows: bool
    """Whether its table held anything when this was written."""
    found_rows: bool
    """Whether it does now: emptied by hand, it is folded again."""


@dataclass(frozen=True, slots=True)
class Healed:
    """Rows that belonged to another history were discarded and folded again.

    `event_id`: of the record of it. `after_version`: of the ledger's own stream, when it happened.
    """

    name: str
    version: int
    reason: str
    event_id: str = field(default_factory=lambda: str(uuid4()))
    after_version: int = 0


class Projector:
    """Folds one ledger into read models over a connection that the caller gives."""

    def __init__(self, ledger: Ledger, projections: Sequence[Projection]) -> None:
        self._ledger = ledger
        self._projections = tuple(projections)

    def is_current(self, connection: Connection) -> bool:
        """Whether every read model stands at the ledger's head, in this ledger."""
        stored = read_progress(connection)
        with reading(self._ledger) as ledger:
            size = read_head(ledger).size
            leaf = read_leaf_hash(ledger, size) or NO_LEAF
        found = (stored.get(each.name) for each in self._projections)
        return self._are_ours(stored) and all(
            each is not None and each.position == size and each.leaf_hash == leaf for each in found
        )

    def is_sound(self, connection: Connection) -> bool:
        """Whether what is stored may be folded on: tables, versions, ledger and history fit."""
        try:
            with connection.begin_nested():  # or its failure would end the caller's transaction
                stored = read_progress(connection)
        except DBAPIError:
            return False  # a table is missing
        if not self._are_ours(stored):
            return False
        with reading(self._ledger) as ledger:
            leaves = {each.position: each.leaf_hash for each in stored.values()}
            return all(
                (read_leaf_hash(ledger, position) or NO_LEAF) == leaf
                for position, leaf in leaves.items()
            )

    def _are_ours(self, stored: Mapping[str, Progress]) -> bool:
        ledger_id = self._ledger.meta.ledger_id
        found = ((each, stored.get(each.name)) for each in self._projections)
        return all(
            progress is not None
            and progress.version == each.version
            and progress.ledger_id == ledger_id
            and progress.has_rows == progress.found_rows
            for each, progress in found
        )

    def prepare(self, connection: Connection) -> list[Healed]:
        """Make tables where needed, and discard rows of another history.

        Read models of an older version are left alone: see `outdated`.

        Raises:
            ProjectionsTooNew: newer software wrote them.
        """
        older = self.outdated(connection)
        fresh = prepare_tables(connection, {each.table.name for each in older})
        stored = read_progress(connection)
        healed = []
        for projection in self._projections:
            progress = stored.get(projection.name)
            if progress is None:
                self.discard(connection, projection)
                continue
            if projection in older:
                continue
            is_fresh = projection.table.name in fresh
            reason = self._why_discarded(progress, projection) or (
                _why_incomplete(progress, is_fresh=is_fresh)
            )
            if reason is not None:
                self.discard(connection, projection)
                healed.append(Healed(projection.name, projection.version, reason))
        return healed

    def outdated(self, connection: Connection) -> list[Projection]:
        """Those that an older version of the software folded; they are to be built anew."""
        if not Tables(connection).has(tables.progress.name):
            return []
        known = tables.progress.c
        rows = connection.execute(select(known.name, known.version))
        stored = {row.name: row.version for row in rows}
        return [
            each for each in self._projections if stored.get(each.name, each.version) < each.version
        ]

    def discard(self, connection: Connection, projection: Projection) -> None:
        """Empty a read model; it then stands before the first event."""
        connection.execute(delete(projection.table))
        self._write_progress(connection, {projection: False}, 0, NO_LEAF)

    def discard_all(self, connection: Connection, reason: str) -> list[Healed]:
        """Empty every read model, because of something wrong with the rows."""
        for projection in self._projections:
            self.discard(connection, projection)
        return [Healed(each.name, each.version, reason) for each in self._projections]

    @collected_later()
    def advance(self, connection: Connection, up_to: int | None = None) -> bool:
        """Fold one batch into the read models that are furthest behind; False at the end.

        Raises:
            UnreadableEvent: names position and reason; nothing of the batch was folded.
        """
        stored = read_progress(connection)
        behind = min(stored[each.name].position for each in self._projections)
        ahead = [
            position
            for each in self._projections
            if (position := stored[each.name].position) > behind
        ]
        last = min([*ahead, NO_LIMIT if up_to is None else up_to])
        batch, leaf = read_batch(self._ledger, behind, last)
        if not batch:
            return False
        moved = {}
        for projection in self._projections:
            if stored[projection.name].position == behind:
                has_written = fold_batch(self._ledger, connection, projection, batch)
                moved[projection] = stored[projection.name].has_rows or has_written
        self._write_progress(connection, moved, batch[-1].position, leaf)
        return bool(ahead) or len(batch) == BATCH_EVENTS

    def _why_discarded(self, progress: Progress, projection: Projection) -> str | None:
        if progress.version > projection.version:
            raise ProjectionsTooNew(
                f"the read model {projection.name} has version {progress.version}, this software "
                f"knows {projection.version}; update backup-ledger"
            )
        if progress.ledger_id != self._ledger.meta.ledger_id:
            return f"its rows belonged to ledger {progress.ledger_id}"
        with reading(self._ledger) as ledger:
            if progress.position > read_head(ledger).size:
                return f"its position {progress.position} is beyond the ledger's end"
            leaf = read_leaf_hash(ledger, progress.position) or NO_LEAF
        if leaf != progress.leaf_hash:
            return f"its rows belonged to another history at position {progress.position}"
        return None

    def _write_progress(
        self,
        connection: Connection,
        moved: Mapping[Projection, bool],
        position: int,
        leaf: bytes,
    ) -> None:
        rows = [
            {
                "name": projection.name,
                "version": projection.version,
                "ledger_id": self._ledger.meta.ledger_id,
                "position": position,
                "leaf_hash": leaf,
                "has_rows": holds_any,
            }
            for projection, holds_any in moved.items()
        ]
        upsert(connection, tables.progress, ("name",), rows)


@contextmanager
def reading(ledger: Ledger) -> Iterator[Connection]:
    """A connection to the ledger; its errors are the ledger's, not the read models'."""
    with translated_errors(ledger.engine), ledger.engine.connect() as connection:
        yield connection


def read_batch(ledger: Ledger, after: int, up_to: int) -> tuple[list[RecordedEvent], bytes]:
    """The events after a position, at most BATCH_EVENTS, and the leaf hash of the last.

    Raises:
        UnreadableEvent: names position and reason.
    """
    with reading(ledger) as connection:
        rows = read_records(connection, after=after, up_to=up_to, limit=BATCH_EVENTS)
    return [_decoded(row) for row in rows], rows[-1].leaf_hash if rows else NO_LEAF


def fold_batch(
    ledger: Ledger, connection: Connection, projection: Projection, batch: Sequence[RecordedEvent]
) -> bool:
    """Fold a batch; what an erased record was folded into before is folded again without it.

    Whether anything was written.
    """
    has_written = projection.apply(connection, batch)
    details = (each.event.details for each in batch)
    erased = [each.position for each in details if isinstance(each, RecordRedacted)]
    if not erased:
        return has_written
    up_to = batch[-1].position
    with reading(ledger) as source:
        projection.fold_again(
            connection,
            read_at(source, erased),
            lambda streams: map(_decoded, read_streams(source, sorted(streams), up_to)),
        )
    return has_written


def read_at(source: Connection, positions: Iterable[int]) -> list[RecordedEvent]:
    """The events at these positions, in ledger order; stand-ins for what was erased."""
    return [
        _decoded(row)
        for position in sorted(set(positions))
        for row in read_records(source, after=position - 1, up_to=position)
    ]


def _decoded(row: StoredRecord) -> RecordedEvent:
    try:
        event = decode_event(row.record)
    except RecordError as error:
        raise UnreadableEvent(
            f"position {row.position} ({row.event_type}) cannot be read: {error}"
        ) from error
    return RecordedEvent(row.position, row.recorded_at, event, row.is_erased)


def leaf_at(ledger: Ledger, position: int) -> bytes | None:
    """The leaf hash at a position; NO_LEAF before the first, None beyond the end."""
    with reading(ledger) as connection:
        if position > read_head(connection).size:
            return None
        return read_leaf_hash(connection, position) or NO_LEAF


def read_progress(connection: Connection) -> dict[str, Progress]:
    """How far each read model has come."""
    rows = _PROGRESS.run(connection, {}).fetchall()
    return {
        name: Progress(
            name, version, ledger_id, position, bytes(leaf), bool(had_rows), bool(found_rows)
        )
        for name, version, ledger_id, position, leaf, had_rows, found_rows in rows
    }


def has_rows(connection: Connection, projection: Projection) -> bool:
    """Whether the table holds anything: emptied by hand, it is folded again."""
    return bool(connection.execute(select(exists().select_from(projection.table))).scalar_one())


def _why_incomplete(progress: Progress, *, is_fresh: bool) -> str | None:
    if is_fresh and progress.position:
        return "its table was missing, or had other columns"
    if progress.has_rows != progress.found_rows:
        return "its rows were deleted" if progress.has_rows else "it had rows of unknown origin"
    return None


def count_rows(connection: Connection, projection: Projection) -> int:
    return connection.execute(select(func.count()).select_from(projection.table)).scalar_one()
