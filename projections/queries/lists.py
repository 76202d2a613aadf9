"""Pages of the lists that people look through: filtered, in any order, forwards and backwards.

A page begins beyond a place: the last row that was seen, by the value that the list is ordered by
and by what is unique of it. So no row is shown twice or left out when others come or go meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import Select, and_, func, or_, select

from projections.folds.backup import Backup
from projections.folds.schedule import Schedule
from projections.queries.catalog import in_store
from projections.queries.overview import State, state_conditions
from projections.tables.columns import backup_catalog as catalog
from projections.tables.columns import backup_runs as runs
from projections.tables.columns import backup_settings as settings

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

Row = TypeVar("Row")
_BACKUP_ORDERS: dict[str, ColumnElement[Any]] = {
    "made": catalog.c.created_at,
    "name": catalog.c.filename,
    "user": catalog.c.user_id,
    "size": catalog.c.size,
}
_SCHEDULE_ORDERS: dict[str, ColumnElement[Any]] = {
    "user": settings.c.user_id,
    "keep": settings.c.keep_count,
    "last": settings.c.last_backup_at,
    "next": settings.c.next_backup_at,
}


class Place(NamedTuple):
    """Where a page begins: beyond the row of this value and this unique number."""

    value: Any
    number: int


@dataclass(frozen=True, slots=True)
class Order:
    """`by`: a column as people call it. `is_falling`: the greatest first."""

    by: str
    is_falling: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of a list. `is_before`: the rows that end before `place`, not those after it."""

    order: Order
    place: Place | None = None
    is_before: bool = False
    limit: int = 50


@dataclass(frozen=True, slots=True)
class BackupsWanted:
    """Which backups of a store. `named`: a part of the file name. `up_to`: recorded by then.

    `user_ids`: of these users only; none of them where it is empty.
    """

    store: str
    statuses: tuple[str, ...]
    user_ids: Collection[int] | None = None
    named: str = ""
    up_to: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        found = [catalog.c.store == self.store]
        if self.user_ids is not None:
            found = [in_store(self.store)]
            found.append(catalog.c.user_id.in_(sorted(self.user_ids)))
        if self.named:
            found.append(catalog.c.filename.icontains(self.named, autoescape=True))
        if self.up_to is not None:
            found.append(catalog.c.position <= self.up_to)
        return found


@dataclass(frozen=True, slots=True)
class SchedulesWanted:
    """Which schedules. `now`: when what waits is overdue."""

    state: State
    now: datetime
    user_ids: Collection[int] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        found = state_conditions(self.state, self.now)
        if self.user_ids is not None:
            found.append(settings.c.user_id.in_(sorted(self.user_ids)))
        return found


def backups_list(
    connection: Connection, which: BackupsWanted, wanted: Wanted, number: int | None = None
) -> list[Backup]:
    """One page, by whichever index has its rows soonest. `number`: of all rows, where known.

    By time each status is asked for by itself: the index has one status in order. By user, the
    index of owners is in order. A name that few files have is looked for among names.
    """
    column = _BACKUP_ORDERS[wanted.order.by]
    is_by_time = wanted.order.by == "made" and which.user_ids is None
    is_rare = which.named != "" and which.user_ids is None
    if is_rare:
        is_rare = _is_rare(connection, which) if number is None else number <= FEW
    groups: Sequence[tuple[str, ...]] = [which.statuses]
    if is_by_time and not is_rare:
        groups = [(each,) for each in which.statuses]
    status: ColumnElement[str] = catalog.c.status
    conditions = which.conditions()
    if is_rare or wanted.order.by in _IN_ORDER_BY_ANOTHER:
        status = status.concat("")
    if wanted.order.by == "user" and not is_rare:
        conditions = [in_store(which.store), *conditions[1:]]
    found: list[Backup] = []
    for statuses in groups:
        is_wanted = status == statuses[0] if len(statuses) == 1 else status.in_(statuses)
        statement = select(catalog).where(is_wanted, *conditions)
        rows = connection.execute(_part(statement, column, catalog.c.position, wanted))
        found += [Backup(**row) for row in rows.mappings()]
    if len(groups) > 1:
        is_falling = wanted.order.is_falling is not wanted.is_before
        found.sort(key=lambda each: (each.created_at, each.position), reverse=is_falling)
    return _in_order(found[: wanted.limit], wanted)


_IN_ORDER_BY_ANOTHER = ("name", "user")
"""Orders that an index has without the status: choosing by status would mean to sort."""
FEW = 1_000


def _is_rare(connection: Connection, which: BackupsWanted) -> bool:
    """Whether few files have the name, of whatever status: from the index of names alone."""
    has_name = catalog.c.filename.icontains(which.named, autoescape=True)
    more = select(catalog.c.store).where(catalog.c.store == which.store, has_name)
    return connection.execute(more.offset(FEW).limit(1)).first() is None


def count_backups(connection: Connection, which: BackupsWanted) -> int:
    """How many there are in all.

    Of a whole store by the index of statuses alone: those of other stores are counted and taken
    away, and there are hardly ever any.
    """
    has_status = catalog.c.status.in_(which.statuses)
    if which.named and which.user_ids is None:
        has_name = catalog.c.status.concat("").in_(which.statuses)
        return _count(connection, has_name, *which.conditions())
    if which.user_ids is not None or which.named or which.up_to is not None:
        return _count(connection, has_status, *which.conditions())
    number = _count(connection, has_status)
    for is_other in (catalog.c.store < which.store, catalog.c.store > which.store):
        number -= _count(connection, is_other, catalog.c.status.concat("").in_(which.statuses))
    return number


def schedules_list(
    connection: Connection, which: SchedulesWanted, wanted: Wanted
) -> list[Schedule]:
    """One page."""
    column = _SCHEDULE_ORDERS[wanted.order.by]
    statement = select(settings).where(*which.conditions())
    rows = connection.execute(_part(statement, column, settings.c.user_id, wanted))
    return _in_order([Schedule(**row) for row in rows.mappings()], wanted)


def count_matching_schedules(connection: Connection, which: SchedulesWanted) -> int:
    """How many there are in all."""
    return _count(connection, settings.c.user_id > 0, *which.conditions())


def count_runs(
    connection: Connection, user_ids: Collection[int] | None, outcome: str | None
) -> int:
    """How many runs there are of these users, or of all, with an outcome, or with any."""
    found: list[ColumnElement[bool]] = [runs.c.run_id.is_not(None)]
    if user_ids is not None:
        found = [runs.c.user_id.in_(sorted(user_ids))]
    if outcome is not None:
        found.append(runs.c.outcome == outcome)
    return _count(connection, *found)


def _count(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).where(*conditions)).scalar_one()


def _part(
    statement: Select[Any], column: ColumnElement[Any], number: ColumnElement[Any], wanted: Wanted
) -> Select[Any]:
    """Rows beyond the place, those nearest to it first; no value is less than the least."""
    is_falling = wanted.order.is_falling is not wanted.is_before
    if wanted.place is not None:
        statement = statement.where(_beyond(column, number, wanted.place, is_falling=is_falling))
    ordered = (
        (column.desc().nulls_last(), number.desc())
        if is_falling
        else (column.asc().nulls_first(), number)
    )
    return statement.order_by(*ordered).limit(wanted.limit)


def _beyond(
    column: ColumnElement[Any], number: ColumnElement[Any], place: Place, *, is_falling: bool
) -> ColumnElement[bool]:
    value, unique = place
    is_further = number < unique if is_falling else number > unique
    if value is None:
        same = and_(column.is_(None), is_further)
        return same if is_falling else or_(column.is_not(None), same)
    if is_falling:
        return or_(column < value, column.is_(None), and_(column == value, is_further))
    return and_(column >= value, or_(column > value, and_(column == value, is_further)))


def _in_order(found: list[Row], wanted: Wanted) -> list[Row]:
    return found[::-1] if wanted.is_before else found
