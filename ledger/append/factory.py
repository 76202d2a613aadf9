"""The eventsourcing library's infrastructure factory, with our recorders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from eventsourcing.persistence import (
    AggregateRecorder,
    InfrastructureFactory,
    IntegrityError,
    NotSupportedError,
    StoredEvent,
)
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError as DatabaseIntegrityError

from ledger.append.database import translated_errors, writing
from ledger.append.reading import rows_of_stream, span_of_stream
from ledger.append.recorder import LedgerRecorder
from ledger.append.tables import snapshots

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from eventsourcing.utils import Environment
    from sqlalchemy.engine import Engine

    from ledger.clock import Clock

_OF_STREAM = rows_of_stream(
    snapshots.c.stream, snapshots.c.stream_version, snapshots.c.topic, snapshots.c.state
)
"""By whether the newest come first."""


class SnapshotRecorder(AggregateRecorder):
    """Keeps folded states of long streams: disposable, not in the tree."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def insert_events(self, stored_events: Sequence[StoredEvent], **_kwargs: Any) -> None:
        """Keep snapshots, all or nothing.

        Raises:
            IntegrityError: there is one of that stream and version.
        """
        if not stored_events:
            return
        rows = [
            {
                "stream": str(each.originator_id),
                "stream_version": each.originator_version,
                "topic": each.topic,
                "state": each.state,
            }
            for each in stored_events
        ]
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(snapshots), rows)
        except DatabaseIntegrityError as error:
            raise IntegrityError("this snapshot already exists") from error

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Snapshots of one stream."""
        span = span_of_stream(originator_id, gt, lte, limit)
        with translated_errors(self._engine), self._engine.connect() as connection:
            rows = _OF_STREAM[desc].run(connection, span).fetchall()
        return [StoredEvent(row[0], row[1], row[2], bytes(row[3])) for row in rows]


class LedgerFactory(InfrastructureFactory[Any]):
    """Hands the library our recorders over one engine."""

    def __init__(self, env: Environment, engine: Engine, clock: Clock) -> None:
        super().__init__(env)
        self._engine = engine
        self._clock = clock
        self._recorders: list[LedgerRecorder] = []

    def application_recorder(self) -> LedgerRecorder:
        recorder = LedgerRecorder(self._engine, self._clock)
        self._recorders.append(recorder)
        return recorder

    def aggregate_recorder(self, purpose: str = "events") -> SnapshotRecorder:  # noqa: ARG002
        return SnapshotRecorder(self._engine)

    def tracking_recorder(self, tracking_recorder_class: Any = None) -> NoReturn:  # noqa: ARG002
        raise NotSupportedError("projections keep their own progress; there is no such recorder")

    def process_recorder(self) -> NoReturn:
        raise NotSupportedError("projections keep their own progress; there is no such recorder")

    def close(self) -> None:
        for recorder in self._recorders:
            recorder.close()
        self._engine.dispose()
