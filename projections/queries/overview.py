"""Questions of somebody who wants to see everything at once; quick at ten thousand users."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Integer, and_, func, select, type_coerce

from ledger.events.scheduling import (
    BackupAbandoned,
    BackupCompleted,
    BackupFailed,
    SlotsMissed,
)
from projections.folds.schedule import Schedule
from projections.queries.catalog import PRESENT
from projections.tables.columns import audit_trail as trail
from projections.tables.columns import backup_catalog as catalog
from projections.tables.columns import backup_runs as runs
from projections.tables.columns import backup_settings as settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Connection

State = Literal["any", "failing", "overdue", "running", "paused", "disabled"]
STATES: tuple[State, ...] = ("any", "failing", "overdue", "running", "paused", "disabled")
OUTCOMES = {
    BackupCompleted.event_type: "completed",
    BackupFailed.event_type: "failed",
    BackupAbandoned.event_type: "abandoned",
    SlotsMissed.event_type: "missed",
}
DAY = timedelta(days=1)


def schedules_in_state(
    connection: Connection,
    state: State,
    overdue_before: datetime,
    *,
    user_id: int | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[Schedule]:
    """Settings in a state, by user, beyond one user. `user_id`: this one only."""
    conditions = state_conditions(state, overdue_before)
    statement = select(settings).where(settings.c.user_id > after, *conditions)
    if user_id is not None:
        statement = statement.where(settings.c.user_id == user_id)
    rows = connection.execute(statement.order_by(settings.c.user_id).limit(limit))
    return [Schedule(**row) for row in rows.mappings()]


def state_conditions(state: State, overdue_before: datetime) -> list[ColumnElement[bool]]:
    """What is true of settings in a state."""
    waiting = and_(
        settings.c.enabled.is_(True), settings.c.paused.is_(False), settings.c.open_run_id.is_(None)
    )
    conditions: dict[State, list[ColumnElement[bool]]] = {
        "any": [],
        "failing": [settings.c.enabled.is_(True), settings.c.failures > 0],
        "overdue": [waiting, settings.c.next_backup_at <= overdue_before],
        "running": [settings.c.open_run_id.is_not(None)],
        "paused": [settings.c.paused.is_(True)],
        "disabled": [settings.c.enabled.is_(False)],
    }
    return conditions[state]


def next_backup_at(connection: Connection) -> datetime | None:
    """When the next run of anybody is due."""
    upcoming = select(func.min(settings.c.next_backup_at)).where(
        settings.c.enabled.is_(True), settings.c.paused.is_(False)
    )
    found: datetime | None = connection.execute(upcoming).scalar_one()
    return found


def last_backup_at(connection: Connection) -> datetime | None:
    """When the newest good backup was made."""
    newest = select(func.max(catalog.c.created_at)).where(catalog.c.status == "ok")
    found: datetime | None = connection.execute(newest).scalar_one()
    return found


def count_by_status(connection: Connection) -> dict[str, int]:
    """How many backups are there in each status but deleted, from an index alone."""
    statuses = (*PRESENT, "missing", "deleting")
    return {
        str(status): connection.execute(
            select(func.count()).select_from(catalog).where(catalog.c.status == status)
        ).scalar_one()
        for status in statuses
    }


def outcomes_by_day(connection: Connection, first: date, last: date) -> dict[date, Counter[str]]:
    """How many runs ended in which way on each day (UTC), by when it was recorded.

    Days are found as positions of the trail, and counted from an index: no event is read.
    """
    begins = _first_positions(connection, first, last + DAY)
    found: dict[date, Counter[str]] = {}
    for day in _days(first, last):
        start, end = begins[day], begins[day + DAY]
        counted = Counter[str]()
        if end > start:
            for event_type, outcome in OUTCOMES.items():
                number = connection.execute(
                    select(func.count())
                    .select_from(trail)
                    .where(
                        trail.c.event_type == event_type,
                        trail.c.position >= start,
                        trail.c.position < end,
                    )
                ).scalar_one()
                counted[outcome] += number
        found[day] = +counted
    return found


def outcomes_of_user(connection: Connection, user_id: int, first: date) -> dict[date, Counter[str]]:
    """The same of one user's runs, by when they began."""
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
    rows = connection.execute(
        select(runs.c.started_at, runs.c.outcome).where(
            runs.c.user_id == user_id, runs.c.started_at >= begin
        )
    )
    found: dict[date, Counter[str]] = {}
    for started_at, outcome in rows:
        if outcome != "running":
            found.setdefault(started_at.date(), Counter())[outcome] += 1
    return found


def stored_by_day(
    connection: Connection, first: date, last: date, user_id: int | None = None
) -> list[tuple[date, int]]:
    """Bytes of backup files that were there at the end of each day (UTC).

    A file that several backups share counts once, from the first of them to the last.
    """
    owned = [] if user_id is None else [catalog.c.user_id == user_id]
    key = func.coalesce(catalog.c.shared_with, catalog.c.backup_id)
    files = (
        select(
            func.max(catalog.c.size).label("size"),
            func.min(catalog.c.created_at).label("begun"),
            func.max(catalog.c.deleted_at).label("gone"),
            (func.count() - func.count(catalog.c.deleted_at)).label("left"),
        )
        .where(*owned)
        .group_by(key)
        .subquery()
    )
    begun = _sums(connection, files.c.begun, files.c.size)
    gone = _sums(connection, files.c.gone, files.c.size, files.c.left == 0)
    total = sum(size for day, size in begun.items() if day < first)
    total -= sum(size for day, size in gone.items() if day < first)
    series = []
    for day in _days(first, last):
        total += begun.get(day, 0) - gone.get(day, 0)
        series.append((day, total))
    return series


def _sums(connection: Connection, moment: Any, size: Any, *conditions: Any) -> dict[date, int]:
    day = func.date(moment)
    total = type_coerce(func.sum(size), Integer)
    rows = connection.execute(select(day, total).where(*conditions).group_by(day))
    return {_as_date(found): int(number) for found, number in rows}


def _as_date(found: date | str) -> date:
    """SQLite has no dates, only their text."""
    return date.fromisoformat(found) if isinstance(found, str) else found


def _first_positions(connection: Connection, first: date, last: date) -> dict[date, int]:
    """Each day's first position; beyond the last one for days to come."""
    newest = connection.execute(select(func.max(trail.c.position))).scalar_one() or 0
    found = {}
    for day in _days(first, last):
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
        statement = select(trail.c.position).where(trail.c.timestamp >= begin)
        ordered = statement.order_by(trail.c.timestamp, trail.c.position).limit(1)
        position = connection.execute(ordered).scalar_one_or_none()
        found[day] = newest + 1 if position is None else position
    return found


def _days(first: date, last: date) -> Iterable[date]:
    return (first + DAY * number for number in range((last - first).days + 1))
