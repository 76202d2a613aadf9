"""The ledger's past: what settings, backups and due work were at a time or a position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.append.database import translated_errors
from projections.past.moment import Moment, moment_at
from projections.past.states import PastStates, states_of_all, states_of_user

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ledger.append.ledger import Ledger
    from projections.folds.backup import Backup
    from projections.folds.schedule import Schedule


@dataclass(frozen=True, slots=True)
class AsOf:
    """What stood in the read models at a moment, and what should have run then.

    `schedules` by user, `backups` newest first whatever became of them, `due` longest waiting
    first: enabled, not paused, no open run, and the next one not later than the moment.
    """

    moment: Moment
    schedules: tuple[Schedule, ...]
    backups: tuple[Backup, ...]
    due: tuple[Schedule, ...]


def as_of(ledger: Ledger, asked: datetime | int, user_id: int | None = None) -> AsOf:
    """Fold positions 1 to that of a time (aware) or a position, for one user or for all.

    Whether the application still knows a user is not in the ledger, so nobody is left out.

    Raises:
        NoSuchPosition: the position is negative or beyond the ledger's end.
        UnreadableEvent: names the position of an event that cannot be read or folded.
    """
    with translated_errors(ledger.engine), ledger.engine.connect() as connection:
        moment = moment_at(connection, asked)
        if user_id is None:
            states = states_of_all(connection, moment.position)
        else:
            states = states_of_user(connection, user_id, moment.position)
    return AsOf(moment, *_in_order(states), due=_due(states.schedules.values(), moment.time))


def moment_of(ledger: Ledger, asked: datetime | int) -> Moment:
    """Only where a time (aware) or a position is.

    Raises:
        NoSuchPosition: the position is negative or beyond the ledger's end.
    """
    with translated_errors(ledger.engine), ledger.engine.connect() as connection:
        return moment_at(connection, asked)


def _in_order(states: PastStates) -> tuple[tuple[Schedule, ...], tuple[Backup, ...]]:
    schedules = sorted(states.schedules.values(), key=lambda each: each.user_id)
    newest_first = sorted(
        states.backups.values(), key=lambda each: (each.created_at, each.position), reverse=True
    )
    return tuple(schedules), tuple(newest_first)


def _due(schedules: Iterable[Schedule], now: datetime | None) -> tuple[Schedule, ...]:
    waiting = [
        (each.next_backup_at, each.id, each)
        for each in schedules
        if each.enabled and not each.paused and each.open_run_id is None
        if each.next_backup_at is not None and now is not None and each.next_backup_at <= now
    ]
    return tuple(each for _since, _id, each in sorted(waiting, key=lambda one: one[:2]))
