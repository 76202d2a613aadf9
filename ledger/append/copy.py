"""Copying a ledger into another database: record for record, root for root, in steps.

Each batch is one transaction of the target: its records, its part of the tree, the names that
follow from it, and the head. So the target is a whole ledger at every moment, its head says how
far the copy has come, and one that was cut short goes on from there. What is there already is
compared with the source by root before anything is added.

Every record is hashed while it is copied. Kept checkpoints are carried along; kept states of
streams are not, they are folded again; leases count as expired, whoever held one works with the
source. Positions never change their records, so a source may grow while it is copied: what comes
after its head as it was at the start is left for the next time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import BigInteger, bindparam, insert, select, update

from ledger.append import leases_and_names as operational
from ledger.append.backend import Tables, backend_of
from ledger.append.database import (
    create_ledger,
    read_meta,
    reading_snapshot,
    translated_errors,
    writing,
)
from ledger.append.erasing.erase import erase_again
from ledger.append.erasing.stand_ins import redactions
from ledger.append.prepared import Prepared
from ledger.append.reading import Head, read_head
from ledger.append.stored_tree import TreeReader
from ledger.append.tables import checkpoints, events, head, leases, meta, nodes
from ledger.clock import parse_instant
from ledger.errors import CopyRefused, LedgerBroken, LedgerError
from ledger.events.catalog import BackupCreated, BackupDeleted, BackupFound
from ledger.events.offsite import (
    CopyAbandoned,
    CopyCompleted,
    CopyFailed,
    CopyFetched,
    CopyFetchStarted,
    CopyNotFetched,
    CopyStarted,
)
from ledger.events.offsite_deletion import CollectCompleted, CollectFailed, CollectStarted
from ledger.events.scheduling import (
    BackupAbandoned,
    BackupCompleted,
    BackupFailed,
    BackupStarted,
)
from ledger.records.record import decode_event
from ledger.tree.merkle import EMPTY_ROOT, Frontier, leaf_hash
from ledger.tree.proofs import ProofError, root_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.engine import Engine

BATCH_RECORDS = 2_000
"""Records of one transaction: at most 131 MB if each had its largest size, usually 2 MB."""

Progress = Callable[[int, int], None]
"""Told (records that the target has, records that it is to have)."""

_WORKED_ON = frozenset(
    each.event_type
    for each in (
        BackupAbandoned,
        BackupCompleted,
        BackupCreated,
        BackupDeleted,
        BackupFailed,
        BackupFound,
        BackupStarted,
        CollectCompleted,
        CollectFailed,
        CollectStarted,
        CopyAbandoned,
        CopyCompleted,
        CopyFailed,
        CopyFetchStarted,
        CopyFetched,
        CopyNotFetched,
        CopyStarted,
    )
)
"""Events that leases and names follow from."""


class LedgerRow(NamedTuple):
    """A row of `ledger_events`."""

    position: int
    stream: str
    stream_version: int
    event_type: str
    record: bytes | None
    leaf_hash: bytes
    recorded_at: int


_ROWS = Prepared(
    select(*events.c[LedgerRow._fields])
    .where(events.c.position > bindparam("after"), events.c.position <= bindparam("up_to"))
    .order_by(events.c.position)
    .limit(bindparam("most", type_=BigInteger))
)
_INSERT = Prepared(insert(events), LedgerRow._fields)


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy came to. `began_at`: how many records were there before."""

    ledger_id: str
    began_at: int
    size: int
    root: bytes
    checkpoints: int
    came_since: int
    """Records that the source got meanwhile; they are not in the copy."""


def copy_ledger(
    source: Engine,
    target: Engine,
    on_progress: Progress | None = None,
    *,
    up_to: int | None = None,
) -> Copied:
    """Bring the target to where the source stands now; the target is made where there is none.

    `up_to`: only so many records, and the tree is grown from them: what comes after, and the
    source's own head and nodes, may be damaged.

    Raises:
        CopyRefused: both are one, or the target is not an earlier state of the source; nothing was
            written.
        LedgerBroken: the source contradicts itself; what was copied before is whole.
        LedgerMissing, NotALedger: the source is none, or the target is something else.
    """
    found = read_meta(source)
    if _identity(source) == _identity(target):
        raise CopyRefused("source and target are the same ledger; give another place to copy to")
    end = _sound_head(source) if up_to is None else _grown(source, up_to)
    with translated_errors(source), source.connect() as connection:
        created_at = connection.execute(select(meta.c.created_at)).scalar_one()
    if _is_bare(target):
        create_ledger(target, found.ledger_id, parse_instant(created_at))
    began_at = _require_earlier(source, target, found.ledger_id, found.schema_version, end).size
    position = began_at
    while position < end.size:
        if on_progress is not None:
            on_progress(position, end.size)
        rows = _read(source, position, end.size)
        append_rows(target, position, rows, _stand_ins(source, rows, end.size))
        position = rows[-1].position
    erase_again(target)  # what was erased at the source since it was copied
    kept = _copy_checkpoints(source, target, end)
    if on_progress is not None:
        on_progress(end.size, end.size)
    with translated_errors(source), source.connect() as connection:
        came_since = read_head(connection).size - end.size
    root = end.frontier.root()
    return Copied(found.ledger_id, began_at, end.size, root, kept, came_since)


def _sound_head(source: Engine) -> Head:
    """The source's end, which its own tree must lead to."""
    with translated_errors(source), reading_snapshot(source) as connection:
        found = read_head(connection)
        stored = connection.execute(select(head.c.root)).scalar_one()
        if not found.frontier.root() == bytes(stored) == _root_at(connection, found.size):
            raise LedgerBroken(
                "the source's head does not match its tree; nothing was copied. Run `backup-ledger "
                "audit verify` on it"
            )
    return found


def _grown(source: Engine, size: int) -> Head:
    """The end that the first records lead to, whatever the source's head says."""
    frontier, recorded_at = Frontier(), 0
    while frontier.size < size:
        rows = _read(source, frontier.size, size)
        frontier, _ = frontier.append_leaves([row.leaf_hash for row in rows])
        recorded_at = rows[-1].recorded_at
    return Head(frontier, recorded_at)


def _is_bare(target: Engine) -> bool:
    """Nothing is there yet, or only what an attempt left that was killed as it began."""
    with translated_errors(target), target.connect() as connection:
        return not Tables(connection).has(meta.name)


def _require_earlier(
    source: Engine, target: Engine, ledger_id: str, version: int, end: Head
) -> Head:
    """The target's head, if what it holds is what the source began with."""
    there = read_meta(target)
    if there.ledger_id != ledger_id:
        raise CopyRefused(
            f"the target is another ledger, {there.ledger_id}, not {ledger_id}; nothing was "
            "written. Give an empty place to copy to"
        )
    if there.schema_version != version:
        raise CopyRefused(
            f"the source's tables have version {version}, the target's {there.schema_version}; "
            "nothing was written. Run `backup-ledger backup reconcile` on the older one, which "
            "brings them up to date"
        )
    with translated_errors(target), target.connect() as connection:
        begun = read_head(connection)
        if begun.size > end.size:
            raise CopyRefused(
                f"the target is ahead: it has {begun.size} records, the source {end.size}; "
                "nothing was written. Is it the other way round?"
            )
        held = _root_at(connection, begun.size)
    with translated_errors(source), source.connect() as connection:
        wanted = _root_at(connection, begun.size)
    if not held == begun.frontier.root() == wanted:
        raise CopyRefused(
            f"the target's {begun.size} records are not the first records of the source (root "
            f"{begun.frontier.root().hex()}, not {wanted.hex()}): the histories differ; "
            "nothing was written. Give an empty place to copy to"
        )
    return begun


def _root_at(connection: Connection, size: int) -> bytes:
    try:
        return root_at(size, TreeReader(connection)) if size else EMPTY_ROOT
    except ProofError as error:
        raise LedgerBroken(
            f"the stored tree is damaged: {error}; run `backup-ledger audit verify`"
        ) from error


def _read(source: Engine, after: int, up_to: int) -> list[LedgerRow]:
    """The next records, each of which is what its leaf hash says."""
    with translated_errors(source), source.connect() as connection:
        wanted = {"after": after, "up_to": up_to, "most": BATCH_RECORDS}
        rows = [_row(each) for each in _ROWS.run(connection, wanted).fetchall()]
    for expected, row in enumerate(rows, after + 1):
        if row.position != expected:
            raise _unreadable(expected, "is not there")
        # A record that was erased leaves its leaf hash.
        if row.record is not None and leaf_hash(row.record) != row.leaf_hash:
            raise _unreadable(expected, "was changed")
    if not rows:
        raise _unreadable(after + 1, "is not there")
    return rows


def _stand_ins(source: Engine, rows: Sequence[LedgerRow], size: int) -> dict[int, bytes]:
    """Position -> what stands in for a record that was erased.

    Raises:
        CopyRefused: one was erased just now, by an event that is not copied this time.
    """
    bare = {row.position for row in rows if row.record is None}
    if not bare:
        return {}
    with translated_errors(source), source.connect() as connection:
        found = {each.details.position: each for each in redactions(connection)}
    if any(position in found and found[position].at > size for position in bare):
        raise CopyRefused("records were erased while they were copied; copy again")
    return {position: found[position].record for position in bare & found.keys()}


def _row(values: Sequence[object]) -> LedgerRow:
    row = LedgerRow(*values)  # type: ignore[arg-type]
    record = None if row.record is None else bytes(row.record)
    return row._replace(record=record, leaf_hash=bytes(row.leaf_hash))


def _unreadable(position: int, what: str) -> LedgerBroken:
    return LedgerBroken(
        f"the source's record {position} {what}; the records before it were copied. Run "
        "`backup-ledger audit verify` on the source"
    )


def append_rows(
    target: Engine,
    after: int,
    rows: Sequence[LedgerRow],
    stand_ins: Mapping[int, bytes] = MappingProxyType({}),
) -> None:
    """Records, their tree, what follows from them, and the head: all, or nothing.

    `stand_ins`: position -> what stands in for a record that was erased.

    Raises:
        CopyRefused: the target does not end at `after`.
    """
    with writing(target) as connection:
        found = read_head(connection)
        if found.size != after:
            raise CopyRefused(
                f"another program writes to the target, which now holds {found.size} records; stop "
                "them, then copy again"
            )
        frontier, completed = found.frontier.append_leaves([row.leaf_hash for row in rows])
        _INSERT.run_rows(connection, rows)
        if completed:
            connection.execute(insert(nodes), [node._asdict() for node in completed])
        _follow(connection, rows, stand_ins)
        _write_head(connection, frontier, rows[-1].recorded_at)


def _follow(
    connection: Connection, rows: Sequence[LedgerRow], stand_ins: Mapping[int, bytes]
) -> None:
    records = (
        stand_ins.get(row.position) if row.record is None else row.record
        for row in rows
        if row.event_type in _WORKED_ON
    )
    decoded = [decode_event(record) for record in records if record is not None]
    operational.apply_events(connection, decoded, monotonic=0.0)
    connection.execute(update(leases).values(expires_at=operational.EXPIRED))


def _write_head(connection: Connection, frontier: Frontier, recorded_at: int) -> None:
    connection.execute(
        update(head).values(
            size=frontier.size,
            root=frontier.root(),
            frontier=frontier.to_bytes(),
            recorded_at=recorded_at,
        )
    )


def _copy_checkpoints(source: Engine, target: Engine, end: Head) -> int:
    """Carry over what was signed, once the roots agree; how many checkpoints were new."""
    kept = select(checkpoints.c.size, checkpoints.c.note, checkpoints.c.created_at).where(
        checkpoints.c.size <= end.size
    )
    with translated_errors(source), source.connect() as connection:
        signed = connection.execute(kept.order_by(checkpoints.c.size, checkpoints.c.id)).all()
    with writing(target) as connection:
        found = read_head(connection)
        if (
            found.frontier != end.frontier
            or _root_at(connection, end.size) != found.frontier.root()
        ):
            raise LedgerError(
                f"the copy of {found.size} records does not have the source's root; do not use "
                "it: run `backup-ledger audit verify` on both"
            )
        there = {(row.size, bytes(row.note)) for row in connection.execute(kept)}
        new = [
            {"size": row.size, "note": bytes(row.note), "created_at": row.created_at}
            for row in signed
            if (row.size, bytes(row.note)) not in there
        ]
        if new:
            connection.execute(insert(checkpoints), new)
    return len(new)


def _identity(engine: Engine) -> tuple[object, ...]:
    """Which database this is, however it is called."""
    with translated_errors(engine), engine.connect() as connection:
        return backend_of(engine).identity(connection)
