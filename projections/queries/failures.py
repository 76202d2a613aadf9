"""Runs that failed, added up by what they said: the first step from many runs to few causes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from ledger.vocabulary import RunOutcome
from projections.tables.columns import backup_runs as runs
from projections.tables.columns import backup_settings as settings

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

ENDED_BADLY = (RunOutcome.FAILED, RunOutcome.ABANDONED)


class Words(NamedTuple):
    """What failed runs said: how they ended, the kind of error, and its message."""

    outcome: str
    error_type: str | None
    message: str | None


class UsersRuns(NamedTuple):
    """One user's runs that failed with the same words. `newest`: the position of the newest."""

    words: Words
    user_id: int
    number: int
    newest: int


class DaysRuns(NamedTuple):
    """The runs of one day (UTC) that failed with the same words. Times are aware UTC."""

    words: Words
    first_at: datetime
    last_at: datetime


def failed_by_user(
    connection: Connection, since: datetime, user_id: int | None = None
) -> list[UsersRuns]:
    """Those that began since a time, of one user or of all; found by the index of outcomes."""
    count, newest = func.count(), func.max(runs.c.position)
    statement = select(*_WORDS, runs.c.user_id, count, newest).where(*_failed(since, user_id))
    rows = connection.execute(statement.group_by(*_WORDS, runs.c.user_id))
    return [UsersRuns(Words(row[0], row[1], row[2]), row[3], row[4], row[5]) for row in rows]


def failed_by_day(
    connection: Connection, since: datetime, user_id: int | None = None
) -> list[DaysRuns]:
    """The same runs, by the days on which they began."""
    first, last = func.min(runs.c.started_at), func.max(runs.c.started_at)
    statement = select(*_WORDS, first, last).where(*_failed(since, user_id))
    rows = connection.execute(statement.group_by(*_WORDS, func.date(runs.c.started_at)))
    return [DaysRuns(Words(row[0], row[1], row[2]), row[3], row[4]) for row in rows]


_WORDS = (runs.c.outcome, runs.c.error_type, runs.c.error_message)


def _failed(since: datetime, user_id: int | None) -> list[ColumnElement[bool]]:
    found = [runs.c.outcome.in_(ENDED_BADLY), runs.c.started_at >= since]
    return found if user_id is None else [*found, runs.c.user_id == user_id]


def failing_users(connection: Connection) -> set[int]:
    """Users whose last scheduled run failed, and whose schedule still stands."""
    failing = select(settings.c.user_id).where(
        settings.c.enabled.is_(True), settings.c.failures > 0
    )
    return set(connection.execute(failing).scalars())
