"""What changed between two positions: which settings and backups, field by field."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from ledger.append.database import translated_errors
from ledger.append.reading import read_head
from ledger.vocabulary import backup_stream, schedule_stream
from projections.past.moment import require_position
from projections.past.states import PastStates, states_of_streams, streams_between

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.append.ledger import Ledger
    from projections.folds.backup import Backup
    from projections.folds.schedule import Schedule

    Row = Schedule | Backup


@dataclass(frozen=True, slots=True)
class Change:
    """One settings row or backup that is not as it was.

    `stream`: the thing. `user_id`: whose it is. `fields`: name -> (before, after) of those that
    differ; `before` is None for all of them where the thing was not there yet.
    """

    stream: str
    user_id: int | None
    is_new: bool
    fields: dict[str, tuple[Any, Any]]


def changes_between(ledger: Ledger, first: int, last: int) -> tuple[Change, ...]:
    """How the row of each schedule and backup at `last` differs from the one at `first`.

    Only what has events between the two is folded. Settings come first, by user; then backups,
    in the order in which they were made.

    Raises:
        ValueError: `last` is before `first`.
        NoSuchPosition: a position is negative or beyond the ledger's end.
        UnreadableEvent: names the position of an event that cannot be read or folded.
    """
    if last < first:
        raise ValueError(f"position {last} is before {first}; give the earlier one first")
    with translated_errors(ledger.engine), ledger.engine.connect() as connection:
        size = read_head(connection).size
        for position in (first, last):
            require_position(position, size)
        streams = streams_between(connection, first, last)
        before = states_of_streams(connection, streams, first)
        after = states_of_streams(connection, streams, last)
    return tuple(_changes(before, after))


def _changes(before: PastStates, after: PastStates) -> Iterator[Change]:
    for user_id, schedule in sorted(after.schedules.items()):
        change = _change(schedule_stream(user_id), before.schedules.get(user_id), schedule)
        if change.fields:
            yield change
    for backup in sorted(after.backups.values(), key=lambda each: each.position):
        old = before.backups.get(backup.backup_id)
        change = _change(backup_stream(backup.backup_id), old, backup)
        if change.fields:
            yield change


def _change(stream: str, before: Row | None, after: Row) -> Change:
    values = ((each.name, getattr(after, each.name)) for each in fields(after))
    pairs = ((name, (getattr(before, name, None), value)) for name, value in values)
    differing = {name: pair for name, pair in pairs if pair[0] != pair[1]}
    return Change(stream, after.user_id, before is None, differing)
