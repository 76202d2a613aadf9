"""Bringing read models up to date with the ledger, a batch and a transaction at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from ledger.application import RecordedEvent
from ledger.errors import RecordError
from ledger.record import decode_event
from ledger.recorder import read_head, read_leaf_hash, read_records
from projections import tables
from projections.errors import ProjectionsTooNew, UnreadableEvent
from projections.projection import upsert
from projections.schema import prepare_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        with self._ledger.engine.connect() as ledger:
            size = read_head(ledger).size
            leaf = read_leaf_hash(ledger, size) or NO_LEAF
        return all(
            stored.get(each.name)
            == Progress(each.name, each.version, self._ledger.meta.ledger_id, size, leaf)
            for each in self._projections
        )

    def prepare(self, connection: Connection) -> list[Healed]:
        """Make tables where needed, and discard rows of another history."""
        fresh = prepare_tables(connection)
        stored = read_progress(connection)
        healed = []
        for projection in self._projections:
            progress = stored.get(projection.name)
            reason = self._why_discarded(projection, progress)
            if projection.table.name in fresh or progress is None:
                self.discard(connection, projection)
            elif reason is not None:
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
        batch, leaf = self._read(behind, min([*ahead, up_to or 2**62]))
        if not batch:
            return False
        for projection in self._projections:
            if stored[projection.name].position == behind:
                projection.apply(connection, batch)
                self._write_progress(connection, projection, batch[-1].position, leaf)
        return True

    def _read(self, after: int, up_to: int) -> tuple[list[RecordedEvent], bytes]:
        with self._ledger.engine.connect() as ledger:
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

    def _why_discarded(self, projection: Projection, progress: Progress | None) -> str | None:
        if progress is None:
            return None
        if progress.version > projection.version:
            raise ProjectionsTooNew(
                f"the read model {projection.name} has version {progress.version}, this software "
                f"knows {projection.version}; update backup-ledger"
            )
        if progress.version < projection.version:
            return f"version {progress.version} was replaced by {projection.version}"
        if progress.ledger_id != self._ledger.meta.ledger_id:
            return f"its rows were of ledger {progress.ledger_id}"
        with self._ledger.engine.connect() as ledger:
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
        }
        upsert(connection, tables.progress, "name", [row])


def read_progress(connection: Connection) -> dict[str, Progress]:
    """How far each read model has come."""
    rows = connection.execute(select(tables.progress))
    return {
        row.name: Progress(row.name, row.version, row.ledger_id, row.position, bytes(row.leaf_hash))
        for row in rows
    }


def count_rows(connection: Connection, projection: Projection) -> int:
    return connection.execute(select(func.count()).select_from(projection.table)).scalar_one()
