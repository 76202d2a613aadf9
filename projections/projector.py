"""Bringing read models up to date with the ledger, a batch and a transaction at a time."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, func, select

from ledger.application import RecordedEvent
from ledger.database import translated_errors
from ledger.errors import RecordError
from ledger.record import decode_event
from ledger.recorder import read_head, read_leaf_hash, read_records
from projections import tables
from projections.errors import ProjectionsTooNew, UnreadableEvent
from projections.projection import upsert
from projections.schema import prepare_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from ledger.application import Ledger
    from projections.projection import Projection

BATCH_EVENTS = 5_000
"""Events folded in one transaction: large enough to write in bulk, small enough for memory."""

NO_LEAF = b""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a read model has come, and in which ledger."""

    name: str
    version: int
    ledger_id: str
    position: int
    leaf_hash: bytes
    has_rows: bool


@dataclass(frozen=True, slots=True)
class Healed:
    """Rows that belonged to another history were discarded and folded again."""

    name: str
    version: int
    reason: str


class Projector:
    """Folds one ledger into read models over a connection that the caller gives."""

    def __init__(self, ledger: Ledger, projections: Sequence[Projection]) -> None:
        self._ledger = ledger
        self._projections = tuple(projections)

    def is_current(self, connection: Connection) -> bool:
        """Whether every read model stands at the ledger's head, in this ledger."""
        stored = read_progress(connection)
        ledger_id = self._ledger.meta.ledger_id
        with self._reading_ledger() as ledger:
            size = read_head(ledger).size
            leaf = read_leaf_hash(ledger, size) or NO_LEAF
        return all(
            stored.get(each.name)
            == Progress(each.name, each.version, ledger_id, size, leaf, has_rows(connection, each))
            for each in self._projections
        )

    def prepare(self, connection: Connection) -> list[Healed]:
        """Make tables where needed, and discard rows of another history."""
        fresh = prepare_tables(connection)
        stored = read_progress(connection)
        healed = []
        for projection in self._projections:
            progress = stored.get(projection.name)
            if progress is None:
                self.discard(connection, projection)
                continue
            is_fresh = projection.table.name in fresh
            reason = self._why_discarded(progress, projection) or (
                _why_incomplete(connection, progress, projection, is_fresh=is_fresh)
            )
            if reason is not None:
                self.discard(connection, projection)
                healed.append(Healed(projection.name, projection.version, reason))
        return healed

    def discard(self, connection: Connection, projection: Projection) -> None:
        """Empty a read model; it then stands before the first event."""
        connection.execute(delete(projection.table))
        self._write_progress(connection, projection, 0, NO_LEAF)

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
        batch, leaf = self._read(behind, min([*ahead, 2**62 if up_to is None else up_to]))
        if not batch:
            return False
        for projection in self._projections:
            if stored[projection.name].position == behind:
                projection.apply(connection, batch)
                self._write_progress(connection, projection, batch[-1].position, leaf)
        return True

    def _read(self, after: int, up_to: int) -> tuple[list[RecordedEvent], bytes]:
        with self._reading_ledger() as ledger:
            rows = read_records(ledger, after=after, up_to=up_to, limit=BATCH_EVENTS)
        batch = []
        for row in rows:
            try:
                event = decode_event(row.record)
            except RecordError as error:
                raise UnreadableEvent(
                    f"position {row.position} ({row.event_type}) cannot be read: {error}"
                ) from error
            batch.append(RecordedEvent(row.position, row.recorded_at, event))
        return batch, rows[-1].leaf_hash if rows else NO_LEAF

    @contextmanager
    def _reading_ledger(self) -> Iterator[Connection]:
        # Its errors are the ledger's, not those of the read models' database.
        engine = self._ledger.engine
        with translated_errors(engine), engine.connect() as connection:
            yield connection

    def _why_discarded(self, progress: Progress, projection: Projection) -> str | None:
        if progress.version > projection.version:
            raise ProjectionsTooNew(
                f"the read model {projection.name} has version {progress.version}, this software "
                f"knows {projection.version}; update backup-ledger"
            )
        if progress.version < projection.version:
            return f"version {progress.version} was replaced by {projection.version}"
        if progress.ledger_id != self._ledger.meta.ledger_id:
            return f"its rows were of ledger {progress.ledger_id}"
        with self._reading_ledger() as ledger:
            if progress.position > read_head(ledger).size:
                return f"its position {progress.position} is beyond the ledger's end"
            leaf = read_leaf_hash(ledger, progress.position) or NO_LEAF
        if leaf != progress.leaf_hash:
            return f"its rows were of another history at position {progress.position}"
        return None

    def _write_progress(
        self, connection: Connection, projection: Projection, position: int, leaf: bytes
    ) -> None:
        row = {
            "name": projection.name,
            "version": projection.version,
            "ledger_id": self._ledger.meta.ledger_id,
            "position": position,
            "leaf_hash": leaf,
            "has_rows": has_rows(connection, projection),
        }
        upsert(connection, tables.progress, "name", [row])


def read_progress(connection: Connection) -> dict[str, Progress]:
    """How far each read model has come."""
    rows = connection.execute(select(tables.progress))
    return {
        row.name: Progress(
            row.name,
            row.version,
            row.ledger_id,
            row.position,
            bytes(row.leaf_hash),
            row.has_rows,
        )
        for row in rows
    }


def has_rows(connection: Connection, projection: Projection) -> bool:
    """Whether the table holds anything: emptied by hand, it is folded again."""
    return bool(connection.execute(select(exists().select_from(projection.table))).scalar_one())


def _why_incomplete(
    connection: Connection, progress: Progress, projection: Projection, *, is_fresh: bool
) -> str | None:
    if is_fresh and progress.position:
        return "its table was missing, or of another shape"
    if progress.has_rows != has_rows(connection, projection):
        return "its rows were deleted" if progress.has_rows else "it had rows of unknown origin"
    return None


def count_rows(connection: Connection, projection: Projection) -> int:
    return connection.execute(select(func.count()).select_from(projection.table)).scalar_one()
