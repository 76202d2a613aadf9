"""The recorder: events in, positions out, the Merkle tree kept in the same transaction.

It is blind to format: any topic, any bytes, any version from 0. Form, size and registry are
the mapper's business before, and `verify`'s after.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from eventsourcing.persistence import (
    ApplicationRecorder,
    ListenNotifySubscription,
    Notification,
    StoredEvent,
)
from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError as DatabaseIntegrityError

from ledger.append.backend import backend_of
from ledger.append.batched import batched
from ledger.append.database import translated_errors
from ledger.append.prepared import Prepared
from ledger.append.reading import (
    _NOTIFICATION,
    Head,
    StoredRecord,
    read_head,
    read_records,
    select_stream,
    select_streams,
    span_of_stream,
    stored_events,
    stream_versions,
)
from ledger.append.tables import events, head, nodes
from ledger.append.writer import Writer
from ledger.clock import Clock, SystemClock, to_microseconds
from ledger.errors import ConcurrencyConflict, LedgerBroken, LedgerUnreachable
from ledger.tree.merkle import Frontier, Node, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from sqlalchemy import Connection
    from sqlalchemy.engine import Engine


KEYS_OF_TWO = 200
"""Looked up in one statement, whose condition has a part for each."""

JUMP_MICROSECONDS = 3_600_000_000
"""A clock this far behind the head has jumped; recorded_at then follows the clock."""

_WRITE_HEAD = Prepared(update(head), ["size", "root", "frontier", "recorded_at"])
_INSERT = Prepared(insert(events), events.columns.keys())


class LockedHead:
    """The ledger while its head is locked: nobody else appends until this is over."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self.connection = connection
        self._clock = clock
        self.head = read_head(connection)

    def records_after(self, position: int) -> list[StoredRecord]:
        """What was appended after a position, in ledger order."""
        return read_records(self.connection, after=position)

    def select_events(self, stream: str) -> list[StoredEvent]:
        """The events of one stream, in order."""
        return select_stream(self.connection, span_of_stream(stream))

    def select_streams(self, streams: Sequence[str]) -> dict[str, list[StoredEvent]]:
        """The events of several streams, each in order; asked together, a server being far."""
        return select_streams(self.connection, streams)

    def stream_versions(self, streams: Sequence[str]) -> dict[str, int]:
        """The newest version of each stream; 0 where there is none."""
        return stream_versions(self.connection, streams)

    def insert(self, stored_events: Sequence[StoredEvent]) -> list[int]:
        """Append events; their positions.

        Raises:
            sqlalchemy.exc.IntegrityError: a (stream, version) already exists.
        """
        if not stored_events:
            return []
        first = self.head.size + 1
        hashes = [leaf_hash(stored.state) for stored in stored_events]
        frontier, completed = self.head.frontier.append_leaves(hashes)
        recorded_at = self._recorded_at()
        _INSERT.run_rows(
            self.connection,
            [
                (
                    position,
                    str(stored.originator_id),
                    stored.originator_version,
                    stored.topic,
                    stored.state,
                    hashed,
                    recorded_at,
                )
                for position, (stored, hashed) in enumerate(
                    zip(stored_events, hashes, strict=True), first
                )
            ],
        )
        self._write_head(frontier, completed, recorded_at)
        return list(range(first, frontier.size + 1))

    def _write_head(self, frontier: Frontier, completed: list[Node], recorded_at: int) -> None:
        if completed:
            self.connection.execute(insert(nodes), [node._asdict() for node in completed])
        row = {
            "size": frontier.size,
            "root": frontier.root(),
            "frontier": frontier.to_bytes(),
            "recorded_at": recorded_at,
        }
        _WRITE_HEAD.run(self.connection, row)
        self.head = Head(frontier, recorded_at)

    def _recorded_at(self) -> int:
        now = to_microseconds(self._clock.now())
        behind = self.head.recorded_at - now
        return now if behind <= 0 or behind > JUMP_MICROSECONDS else self.head.recorded_at


class LedgerRecorder(ApplicationRecorder):
    """Records events for the eventsourcing library over SQLAlchemy Core."""

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        self.engine = engine
        self._clock = clock or SystemClock()
        # Threads queue here, in the order in which they come; SQLite's own waiting is unfair.
        self._writing = Lock()
        self._writer = Writer(engine)
        self._subscriptions: set[FollowingSubscription] = set()

    @contextmanager
    def locked(self) -> Iterator[LockedHead]:
        """One append transaction: lock the head, look, decide, insert, commit.

        Raises:
            LedgerBusy: another process held the lock for too long.
        """
        with self._writing, self._writer.transaction() as connection:
            yield LockedHead(connection, self._clock)
        for subscription in tuple(self._subscriptions):
            subscription.notify()

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        locked: LockedHead | None = None,
        **_kwargs: Any,
    ) -> Sequence[int] | None:
        """Append events, all or nothing; their positions, or None where there are none.

        `locked`: append within this open transaction instead of one of its own.

        Raises:
            ConcurrencyConflict: a (stream, version) already exists; names the streams.
            LedgerBroken: the head does not stand at the last event, so nothing can be appended.
        """
        if not stored_events:
            return None
        try:
            if locked is not None:
                return locked.insert(stored_events)
            with self.locked() as own:
                return own.insert(stored_events)
        except DatabaseIntegrityError as error:
            self._require_whole()
            raise ConcurrencyConflict(self._moved(stored_events)) from error

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The events of one stream."""
        span = span_of_stream(originator_id, gt, lte, limit)
        with translated_errors(self.engine), self.engine.connect() as connection:
            return select_stream(connection, span, newest_first=desc)

    def select_streams(self, streams: Sequence[str]) -> dict[str, list[StoredEvent]]:
        """The events of several streams, each in order."""
        with translated_errors(self.engine), self.engine.connect() as connection:
            return select_streams(connection, streams)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """The events of the whole ledger from a position on, of these types."""
        gt = None if start is None else start - inclusive_of_start
        statement = _NOTIFICATION
        if gt is not None:
            statement = statement.where(events.c.position > gt)
        if stop is not None:
            statement = statement.where(events.c.position <= stop)
        if topics:
            statement = statement.where(events.c.event_type.in_(topics))
        with translated_errors(self.engine), self.engine.connect() as connection:
            rows = connection.execute(statement.order_by(events.c.position).limit(limit)).all()
            stored = stored_events(connection, rows)
        return [
            Notification(
                id=row.position,
                originator_id=each.originator_id,
                originator_version=each.originator_version,
                topic=each.topic,
                state=each.state,
            )
            for row, each in zip(rows, stored, strict=True)
        ]

    def max_notification_id(self) -> int | None:
        """The last position, or None in an empty ledger."""
        return self.head().size or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> FollowingSubscription:
        """Events after a position, and from then on each one as it is appended."""
        return FollowingSubscription(self, self._subscriptions, gt=gt, topics=topics)

    @contextmanager
    def renewing(self) -> Iterator[Connection]:
        """A connection that changes rows of ours alone, which on a server locks nothing else.

        So nobody who is frozen while holding the head can make others lose their leases. What
        is done in it is one message, so nobody can be frozen in the middle and keep the rows.
        """
        if backend_of(self.engine).is_of_one_machine:
            with self.locked() as locked:
                yield locked.connection
            return
        at_once = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        with translated_errors(self.engine), at_once.connect() as connection:
            yield connection

    def close(self) -> None:
        """Give the connection for writing back; a later append takes another one."""
        with self._writing:
            self._writer.close()

    def head(self) -> Head:
        """The ledger's end as of now."""
        with translated_errors(self.engine), self.engine.connect() as connection:
            return read_head(connection)

    def _moved(self, stored_events: Sequence[StoredEvent]) -> Sequence[str]:
        """Which of the streams have these versions already."""
        keys = [(str(each.originator_id), each.originator_version) for each in stored_events]
        moved: list[str] = []
        with self.engine.connect() as connection:
            for batch in batched(keys, KEYS_OF_TWO):
                some = or_(
                    *(
                        and_(events.c.stream == stream, events.c.stream_version == version)
                        for stream, version in batch
                    )
                )
                moved += connection.execute(select(events.c.stream).where(some)).scalars()
        return tuple(dict.fromkeys(moved or (stream for stream, _version in keys)))

    def _require_whole(self) -> None:
        with self.engine.connect() as connection:
            size = read_head(connection).size
            last = connection.execute(select(func.max(events.c.position))).scalar_one() or 0
        if last != size:
            raise LedgerBroken(
                f"ledger_head says {size} events, but the last one has position {last}; run "
                "`backup-ledger audit verify`"
            )


LOOK_ANYWAY_SECONDS = 5.0
"""How long a server that tells of appends is believed when it says nothing."""


class FollowingSubscription(ListenNotifySubscription["LedgerRecorder"]):
    """Appends of this process wake it at once; those of others as soon as they are heard of."""

    def __init__(
        self,
        recorder: LedgerRecorder,
        registered: set[FollowingSubscription],
        gt: int | None = None,
        topics: Sequence[str] = (),
    ) -> None:
        self._registered = registered
        self._stopping = Event()
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        registered.add(self)
        self._listening_thread = Thread(target=self._listen, daemon=True)
        self._listening_thread.start()

    def notify(self) -> None:
        """Something was appended."""
        self._has_been_notified.set()

    def stop(self) -> None:
        """End the iteration; also when called from another thread."""
        self._registered.discard(self)
        self._stopping.set()
        super().stop()

    def __exit__(self, *args: object, **kwargs: Any) -> None:
        super().__exit__(*args, **kwargs)
        self._listening_thread.join()

    def _listen(self) -> None:
        seen = -1
        engine = self._recorder.engine
        with backend_of(engine).listener(engine, self._stopping) as listener:
            while not self._stopping.is_set():
                listener.wait(LOOK_ANYWAY_SECONDS)
                try:
                    size = self._recorder.head().size
                except LedgerUnreachable:
                    continue
                except Exception as error:  # noqa: BLE001  (handed to the reader's thread)
                    self._thread_error = error
                    self.stop()
                    return
                if size != seen:
                    seen = size
                    self.notify()
