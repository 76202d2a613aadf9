"""Reading a thing's state from the ledger while its head is locked.

A read model only says where to look; what is decided is decided on the ledger itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import exists, select

from ledger.append.batched import batched
from ledger.append.erasing.stand_ins import StandIns
from ledger.append.prepared import Prepared
from ledger.append.tables import events
from ledger.events.offsite import CopyStarted
from ledger.events.restoring import RestoreStarted
from ledger.records.record import Event, decode_event
from ledger.vocabulary import backup_stream
from projections.folds.backup import Backup, evolve_backup
from projections.folds.offsite_copy import OffsiteCopy, evolve_copy
from projections.folds.restore import Restore, evolve_restore
from projections.tables.columns import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection

    from ledger.append.recorder import LockedHead

State = TypeVar("State")
_later = events.alias("later")
_OPEN_RESTORES = Prepared(
    select(*events.c["stream", "stream_version", "record"])
    .where(
        (events.c.stream >= "restore/") & (events.c.stream < "restore0"),
        events.c.event_type == RestoreStarted.event_type,
        ~exists().where(
            _later.c.stream == events.c.stream,
            _later.c.stream_version > events.c.stream_version,
        ),
    )
    .order_by(events.c.position)
)
_OPEN_COPIES = Prepared(
    select(*events.c["stream", "stream_version", "record"])
    .where(
        (events.c.stream >= "copy/") & (events.c.stream < "copy0"),
        events.c.event_type == CopyStarted.event_type,
        ~exists().where(
            _later.c.stream == events.c.stream,
            _later.c.stream_version > events.c.stream_version,
        ),
    )
    .order_by(events.c.position)
)
_POSITIONS = Prepared(select(progress.c.position))


def fold_locked(
    locked: LockedHead, stream: str, evolve: Callable[[State | None, Event], State | None]
) -> State | None:
    """A stream's state as of the locked head."""
    state: State | None = None
    for stored in locked.select_events(stream):
        state = evolve(state, decode_event(stored.state))
    return state


def backup_locked(locked: LockedHead, backup_id: str) -> Backup | None:
    return fold_locked(locked, backup_stream(backup_id), evolve_backup)


def backups_locked(locked: LockedHead, backup_ids: Sequence[str]) -> dict[str, Backup | None]:
    """The same for several, read together."""
    ids = {backup_stream(backup_id): backup_id for backup_id in backup_ids}
    found: dict[str, Backup | None] = dict.fromkeys(backup_ids)
    for stream, stored in locked.select_streams(list(ids)).items():
        for each in stored:
            found[ids[stream]] = evolve_backup(found[ids[stream]], decode_event(each.state))
    return found


def birth_positions(connection: Connection, backup_ids: Iterable[str]) -> dict[str, int]:
    """Where the ledger first says of each backup that it is there."""
    streams = [backup_stream(backup_id) for backup_id in backup_ids]
    found: dict[str, int] = {}
    for batch in batched(streams):
        some = events.c.stream.in_(batch)
        firsts = select(events.c.stream, events.c.position).where(
            some, events.c.stream_version == 1
        )
        for stream, position in connection.execute(firsts):
            found[stream.removeprefix(backup_stream(""))] = position
    return found


def events_after(locked: LockedHead, position: int) -> list[tuple[int, Event]]:
    """What was appended after a position, decoded."""
    return [(row.position, decode_event(row.record)) for row in locked.records_after(position)]


def open_restores(connection: Connection) -> list[Restore]:
    """Restores without a recorded outcome."""
    rows = _OPEN_RESTORES.run(connection, {}).fetchall()
    stand_ins = StandIns(connection)
    found = (evolve_restore(None, decode_event(stand_ins.record(*row))) for row in rows)
    return [each for each in found if each is not None]


def open_copies(connection: Connection) -> list[OffsiteCopy]:
    """Off-site copies without a recorded outcome."""
    rows = _OPEN_COPIES.run(connection, {}).fetchall()
    stand_ins = StandIns(connection)
    found = (evolve_copy(None, decode_event(stand_ins.record(*row))) for row in rows)
    return [each for each in found if each is not None]


def backups_being_restored(connection: Connection) -> set[str]:
    """Backups whose file is being read: by a restore, or by a copy that leaves the house."""
    restored = {each.started.backup_id for each in open_restores(connection)}
    return restored | {each.backup_id for each in open_copies(connection)}


def position_of(connection: Connection) -> int:
    """Where the read models of this connection stand: the position that all have reached."""
    return min((row[0] for row in _POSITIONS.run(connection, {}).fetchall()), default=0)


def concerned_backup_ids(tail: Iterable[tuple[int, Event]]) -> list[str]:
    """Ids of the backups that these events concern."""
    found = (event.resource_id for _, event in tail if event.stream.startswith("backup/"))
    return list(dict.fromkeys(found))
