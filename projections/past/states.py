"""Settings and backups as they stood at a position, folded from the ledger and nothing else.

Read models may be behind or edited, so they are not asked even where to look. What keeps this
quick is what is left out: streams of other things and of other people are never decoded, nor
are the runs before a user's last completed one, which it supersedes.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import func, select

from ledger.append.batched import batched
from ledger.append.erasing.stand_ins import StandIns
from ledger.append.tables import events
from ledger.errors import RecordError
from ledger.events import REGISTRY
from ledger.events.catalog import BackupCreated, BackupFound
from ledger.events.scheduling import (
    BackupAbandoned,
    BackupCompleted,
    BackupFailed,
    BackupStarted,
    SettingsCreated,
    SlotsMissed,
)
from ledger.records.record import decode_event
from ledger.vocabulary import BACKUP, SCHEDULE, schedule_stream
from projections.errors import UnfoldableEvent, UnreadableEvent
from projections.folds.backup import Backup, evolve_backup
from projections.folds.schedule import Schedule, evolve_schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Select

    from ledger.records.record import Event

State = TypeVar("State")

READ_ROWS = 5_000

_COMPLETED = BackupCompleted.event_type
_RUNS = frozenset(
    kind.event_type
    for kind in (BackupStarted, BackupCompleted, BackupFailed, BackupAbandoned, SlotsMissed)
)
"""They say where a user's runs stand, all of which the next completed run says anew."""

_BIRTHS = (BackupCreated.event_type, BackupFound.event_type)
# What is not wanted is named, not what is: an event of an unknown type must not be passed over.
_OF_OTHER_THINGS = [
    kind.event_type for kind in REGISTRY.values() if kind.stream_kind not in (SCHEDULE, BACKUP)
]
_NO_BIRTHS = [event_type for event_type in REGISTRY if event_type not in _BIRTHS]
_ROWS = select(*events.c["position", "stream", "stream_version", "event_type", "record"]).order_by(
    events.c.position
)


class _Row(NamedTuple):
    """What is read of an event; of an erased one, what stands in for it."""

    position: int
    stream: str
    event_type: str
    record: bytes


@dataclass(slots=True)
class PastStates:
    """Schedules by user and backups by id, as they stood."""

    schedules: dict[int, Schedule] = field(default_factory=dict)
    backups: dict[str, Backup] = field(default_factory=dict)


def states_of_all(connection: Connection, up_to: int) -> PastStates:
    """Everybody's, as of a position.

    Raises:
        UnreadableEvent: names the position of an event that cannot be read or folded.
    """
    wanted = events.c.position <= up_to, events.c.event_type.not_in(_OF_OTHER_THINGS)
    with closing(_read(connection, _ROWS.where(*wanted))) as rows:
        return _folded(connection, rows)


def states_of_user(connection: Connection, user_id: int, up_to: int) -> PastStates:
    """One user's, as of a position.

    Raises:
        UnreadableEvent: names the position of an event that cannot be read or folded.
    """
    streams = [schedule_stream(user_id), *_streams_born_for(connection, user_id, up_to)]
    found = states_of_streams(connection, streams, up_to)
    found.backups = {
        backup_id: backup
        for backup_id, backup in found.backups.items()
        if backup.user_id == user_id
    }
    return found


def states_of_streams(connection: Connection, streams: Collection[str], up_to: int) -> PastStates:
    """Of some streams, as of a position; streams of other things say nothing.

    Raises:
        UnreadableEvent: names the position of an event that cannot be read or folded.
    """
    with closing(_of_streams(connection, sorted(set(streams)), up_to)) as rows:
        return _folded(connection, rows)


def streams_between(connection: Connection, after: int, up_to: int) -> list[str]:
    """Schedules and backups with events in after < position <= up_to."""
    statement = select(events.c.stream).distinct()
    statement = statement.where(
        events.c.position > after,
        events.c.position <= up_to,
        events.c.event_type.not_in(_OF_OTHER_THINGS),
    )
    return list(connection.execute(statement).scalars())


def _streams_born_for(connection: Connection, user_id: int, up_to: int) -> list[str]:
    """Streams of the backups that were a user's from the start.

    Records are canonical JSON and `user_id` is their last key, so the end of the bytes tells
    whose an event is without decoding it.
    """
    ending = b'"user_id":"%d"}' % user_id
    record = events.c.record
    is_erased = record.is_(None)
    statement = select(events.c.stream, events.c.stream_version, is_erased).where(
        events.c.position <= up_to,
        events.c.event_type.not_in(_NO_BIRTHS),
        (func.substr(record, func.length(record) - len(ending) + 1) == ending) | record.is_(None),
    )
    stand_ins = StandIns(connection)
    found = connection.execute(statement).all()
    return list(
        dict.fromkeys(
            stream
            for stream, version, erased in found
            if not erased or stand_ins.record(stream, version).endswith(ending)
        )
    )


def _of_streams(
    connection: Connection, streams: Sequence[str], up_to: int
) -> Generator[_Row, None, None]:
    """Rows in the order of each stream; streams may follow each other in any order."""
    for batch in batched(streams):
        some = events.c.stream.in_(batch)
        yield from _read(connection, _ROWS.where(some, events.c.position <= up_to))


def _read(connection: Connection, statement: Select[Any]) -> Generator[_Row, None, None]:
    # Closed also where the reader stops early: a server holds a cursor open.
    with connection.execute(statement, execution_options={"yield_per": READ_ROWS}) as found:
        stand_ins = StandIns(connection)
        for position, stream, version, event_type, record in found:
            yield _Row(position, stream, event_type, stand_ins.record(stream, version, record))


def _folded(connection: Connection, rows: Iterable[_Row]) -> PastStates:
    states = PastStates()
    needed: dict[str, list[_Row]] = defaultdict(list)
    last_created = 0
    for row in rows:
        kind, _slash, thing = row.stream.partition("/")
        if kind == BACKUP:
            before = states.backups.get(thing)
            backup = _evolved(evolve_backup, before, row)
            if before is None and backup is not None:
                backup.position = row.position
                states.backups[thing] = backup
        elif kind == SCHEDULE:
            if row.event_type == _COMPLETED:
                needed[thing] = [each for each in needed[thing] if each.event_type not in _RUNS]
            elif row.event_type == SettingsCreated.event_type:
                last_created = row.position
            needed[thing].append(row)
    for user_id, of_user in needed.items():
        schedule: Schedule | None = None
        for row in of_user:
            schedule = _evolved(evolve_schedule, schedule, row)
        if schedule is not None:
            states.schedules[int(user_id)] = schedule
    _number(connection, states.schedules, last_created)
    return states


def _evolved(
    evolve: Callable[[State | None, Event], State | None], state: State | None, row: _Row
) -> State | None:
    where = f"position {row.position} ({row.event_type})"
    try:
        event = decode_event(row.record)
    except RecordError as error:
        raise UnreadableEvent(f"{where} cannot be read: {error}") from error
    try:
        return evolve(state, event)
    except ValueError as error:  # such as a time zone that this machine does not know
        raise UnfoldableEvent(f"{where} cannot be folded: {error}") from error


def _number(connection: Connection, schedules: Mapping[int, Schedule], up_to: int) -> None:
    """Ids are the order of creation among all users, whoever is asked about."""
    if not schedules:
        return
    statement = (
        select(events.c.stream)
        .where(events.c.position <= up_to, events.c.event_type == SettingsCreated.event_type)
        .order_by(events.c.position)
    )
    streams = dict.fromkeys(connection.execute(statement).scalars())
    for number, stream in enumerate(streams, 1):
        schedule = schedules.get(int(stream.rpartition("/")[2]))
        if schedule is not None:
            schedule.id = number
