"""Reading the ledger: its head, its records, a stream's end."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from eventsourcing.persistence import StoredEvent
from sqlalchemy import BigInteger, bindparam, func, select

from ledger.append.backend import WRITE, backend_of
from ledger.append.batched import batched
from ledger.append.erasing.stand_ins import StandIns
from ledger.append.prepared import Prepared
from ledger.append.tables import events, head
from ledger.errors import LedgerBroken
from ledger.tree.merkle import Frontier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import Column, Connection


NO_LIMIT = 2**62
PAGE_OF_STREAM = 500
"""Records of one stream in memory at a time, of which there may be many streams."""


_HEAD = select(head.c.size, head.c.frontier, head.c.recorded_at)


_READ_HEAD = Prepared(_HEAD)


_LOCK_HEAD = Prepared(_HEAD.with_for_update())


_STREAM_VERSION = Prepared(
    select(func.max(events.c.stream_version)).where(events.c.stream == bindparam("wanted"))
)


_LEAF_HASH = Prepared(select(events.c.leaf_hash).where(events.c.position == bindparam("wanted")))


_STREAM_LEAF = Prepared(
    select(events.c.leaf_hash).where(
        events.c.stream == bindparam("wanted"), events.c.stream_version == bindparam("version")
    )
)


_OF_EVENT = (events.c.stream, events.c.stream_version, events.c.event_type, events.c.record)


_EVENT = select(*_OF_EVENT)


_NOTIFICATION = _EVENT.add_columns(events.c.position)


_STORED = _NOTIFICATION.add_columns(events.c.leaf_hash, events.c.recorded_at)


_RECORDS = Prepared(
    _STORED.where(events.c.position > bindparam("after"), events.c.position <= bindparam("up_to"))
    .order_by(events.c.position)
    .limit(bindparam("most", type_=BigInteger))
)


_PAGE_OF_STREAM = Prepared(
    _STORED.where(
        events.c.stream == bindparam("wanted"),
        events.c.stream_version > bindparam("after"),
        events.c.position <= bindparam("up_to"),
    )
    .order_by(events.c.stream_version)
    .limit(bindparam("most", type_=BigInteger))
)


_WRITTEN_BY = Prepared(
    select(events.c.position)
    .where(events.c.recorded_at <= bindparam("moment", type_=BigInteger))
    .order_by(events.c.recorded_at.desc(), events.c.position.desc())
    .limit(1)
)


def rows_of_stream(*columns: Column[Any]) -> dict[bool, Prepared]:
    """What a recorder asks for one stream's rows, by whether the newest come first.

    `columns`: the first two are the stream and its versions. Takes what `span_of_stream` gives.
    """
    stream, version = columns[:2]
    statement = select(*columns).where(
        stream == bindparam("wanted"),
        version > bindparam("after"),
        version <= bindparam("up_to"),
    )
    most = bindparam("most", type_=BigInteger)
    return {
        False: Prepared(statement.order_by(version).limit(most)),
        True: Prepared(statement.order_by(version.desc()).limit(most)),
    }


def span_of_stream(
    stream: UUID | str, gt: int | None = None, lte: int | None = None, limit: int | None = None
) -> dict[str, Any]:
    """Of a stream, gt < version <= lte, `limit` at most; None is no bound."""
    return {
        "wanted": str(stream),
        "after": -1 if gt is None else gt,
        "up_to": NO_LIMIT if lte is None else lte,
        "most": NO_LIMIT if limit is None else limit,
    }


_OF_STREAM = rows_of_stream(*_OF_EVENT)
_STREAMS = _EVENT.where(events.c.stream.in_(bindparam("wanted", expanding=True))).order_by(
    events.c.stream, events.c.stream_version
)
_STREAM_VERSIONS = (
    select(events.c.stream, func.max(events.c.stream_version).label("newest"))
    .where(events.c.stream.in_(bindparam("wanted", expanding=True)))
    .group_by(events.c.stream)
)

FEW_STREAMS = 4
"""Fewer are asked for one by one, by statements that are prepared; any number of a file."""


@dataclass(frozen=True, slots=True)
class Head:
    """The ledger's end: its tree, and when it last grew (microseconds since 1970, UTC)."""

    frontier: Frontier
    recorded_at: int

    @property
    def size(self) -> int:
        return self.frontier.size


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One row of the ledger, as it stands. `is_erased`: the record stands in for the stored one."""

    position: int
    stream: str
    stream_version: int
    event_type: str
    record: bytes
    leaf_hash: bytes
    recorded_at: int
    is_erased: bool = False


def read_head(connection: Connection) -> Head:
    """The head row.

    Raises:
        LedgerBroken: it is gone, or contradicts itself.
    """
    is_locking = connection.get_execution_options().get(WRITE)
    row = (_LOCK_HEAD if is_locking else _READ_HEAD).run(connection, {}).fetchone()
    if row is None:
        raise LedgerBroken("ledger_head has no row; run `backup-ledger audit verify`")
    size, frontier, recorded_at = row
    try:
        return Head(Frontier.from_bytes(size, bytes(frontier)), recorded_at)
    except ValueError as error:
        raise LedgerBroken(f"ledger_head is damaged: {error}") from error


def read_records(
    connection: Connection,
    *,
    after: int = 0,
    up_to: int | None = None,
    limit: int | None = None,
) -> list[StoredRecord]:
    """Rows with after < position <= up_to, in ledger order.

    Raises:
        LedgerBroken: a record is gone, and no event says that it was erased.
    """
    wanted = {
        "after": after,
        "up_to": NO_LIMIT if up_to is None else up_to,
        "most": NO_LIMIT if limit is None else limit,
    }
    rows = _RECORDS.run(connection, wanted).fetchall()
    return _stored_records(rows, StandIns(connection))


def read_streams(
    connection: Connection, streams: Iterable[str], up_to: int
) -> Iterator[StoredRecord]:
    """Rows of some streams with position <= up_to, in ledger order; a page of each in memory.

    Raises:
        LedgerBroken: a record is gone, and no event says that it was erased.
    """
    stand_ins = StandIns(connection)
    pages = (_of_stream(connection, stream, up_to, stand_ins) for stream in streams)
    return merge(*pages, key=attrgetter("position"))


def _of_stream(
    connection: Connection, stream: str, up_to: int, stand_ins: StandIns
) -> Iterator[StoredRecord]:
    after = 0
    while True:
        wanted = {"wanted": stream, "after": after, "up_to": up_to, "most": PAGE_OF_STREAM}
        page = _stored_records(_PAGE_OF_STREAM.run(connection, wanted).fetchall(), stand_ins)
        yield from page
        if len(page) < PAGE_OF_STREAM:
            return
        after = page[-1].stream_version


def _stored_records(rows: Iterable[Any], stand_ins: StandIns) -> list[StoredRecord]:
    return [
        StoredRecord(
            position,
            stream,
            version,
            event_type,
            stand_ins.record(stream, version, record),
            bytes(leaf),
            recorded,
            record is None,
        )
        for stream, version, event_type, record, position, leaf, recorded in rows
    ]


def _are_few(connection: Connection, streams: Sequence[str]) -> bool:
    return len(streams) < FEW_STREAMS or backend_of(connection).is_near


def select_stream(
    connection: Connection, span: Mapping[str, Any], *, newest_first: bool = False
) -> list[StoredEvent]:
    """The events of one stream, in order. `span`: from `span_of_stream`."""
    rows = _OF_STREAM[newest_first].run(connection, span)
    return stored_events(connection, rows.fetchall())


def select_streams(connection: Connection, streams: Sequence[str]) -> dict[str, list[StoredEvent]]:
    """The events of several streams, each in order; asked together, a server being far."""
    if _are_few(connection, streams):
        return {each: select_stream(connection, span_of_stream(each)) for each in streams}
    found: dict[str, list[StoredEvent]] = {stream: [] for stream in streams}
    for some in batched(list(found)):
        rows = connection.execute(_STREAMS, {"wanted": some}).all()
        for stored in stored_events(connection, rows):
            found[str(stored.originator_id)].append(stored)
    return found


def stream_versions(connection: Connection, streams: Sequence[str]) -> dict[str, int]:
    """The newest version of each stream; 0 where there is none."""
    if _are_few(connection, streams):
        return {stream: stream_version(connection, stream) for stream in streams}
    found = dict.fromkeys(streams, 0)
    for some in batched(list(found)):
        rows = connection.execute(_STREAM_VERSIONS, {"wanted": some})
        found.update((row.stream, row.newest) for row in rows)
    return found


def stored_events(connection: Connection, rows: Sequence[Any]) -> list[StoredEvent]:
    """Rows of `EVENT` as the library has them; what was erased is what stands in for it."""
    stand_ins = StandIns(connection)
    return [
        StoredEvent(
            row[0],
            row[1],
            row[2],
            stand_ins.record(row[0], row[1], row[3]),
        )
        for row in rows
    ]


def read_stream_leaf(connection: Connection, stream: str, version: int) -> bytes | None:
    """The leaf hash of one event of a stream; None where there is none."""
    wanted = {"wanted": stream, "version": version}
    row = _STREAM_LEAF.run(connection, wanted).fetchone()
    return None if row is None else bytes(row[0])


def read_leaf_hash(connection: Connection, position: int) -> bytes | None:
    """The leaf hash at a position, or None beyond the head."""
    row = _LEAF_HASH.run(connection, {"wanted": position}).fetchone()
    return None if row is None else bytes(row[0])


def stream_version(connection: Connection, stream: str) -> int:
    """The newest version of a stream; 0 where there is none."""
    return int(_STREAM_VERSION.run(connection, {"wanted": stream}).fetchone()[0] or 0)


def position_by(connection: Connection, moment: int) -> int:
    """Where a time (microseconds since 1970) stands among the recorded ones; 0 before the first.

    One look at the index: the event with the latest time that is not later, and of several the
    last.
    """
    row = _WRITTEN_BY.run(connection, {"moment": moment}).fetchone()
    return 0 if row is None else int(row[0])
