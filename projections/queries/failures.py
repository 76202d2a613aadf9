"""Runs that failed, added up by what they said: the first step from many runs to few causes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ledger.vocabulary import RunOutcome
from projections.tables.columns import backup_runs as runs
from projections.tables.columns import backup_settings as settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

ENDED_BADLY = (RunOutcome.FAILED, RunOutcome.ABANDONED)


@dataclass(frozen=True, slots=True)
class FailedRuns:
    """One user's runs on one day (UTC) that failed with the same words. Times are aware UTC.

    `newest`: the position of the newest of them.
    """

    outcome: str
    error_type: str | None
    message: str | None
    user_id: int
    day: date
    number: int
    first_at: datetime
    last_at: datetime
    newest: int


def failed_runs(
    connection: Connection, since: datetime, user_id: int | None = None
) -> list[FailedRuns]:
    """Those that began since a time, of one user or of all; found by the index of outcomes."""
    day = func.date(runs.c.started_at)
    first, last = func.min(runs.c.started_at), func.max(runs.c.started_at)
    statement = (
        select(
            runs.c.outcome,
            runs.c.error_type,
            runs.c.error_message,
            runs.c.user_id,
            func.count(),
            first.label("first"),
            last.label("last"),
            func.max(runs.c.position),
        )
        .where(runs.c.outcome.in_(ENDED_BADLY), runs.c.started_at >= since)
        .group_by(runs.c.outcome, runs.c.error_type, runs.c.error_message, runs.c.user_id, day)
    )
    if user_id is not None:
        statement = statement.where(runs.c.user_id == user_id)
    return [
        FailedRuns(
            outcome=row[0],
            error_type=row[1],
            message=row[2],
            user_id=row[3],
            day=row.first.date(),
            number=row[4],
            first_at=row.first,
            last_at=row.last,
            newest=row[7],
        )
        for row in connection.execute(statement)
    ]


def failing_users(connection: Connection) -> set[int]:
    """Users whose last scheduled run failed, and whose schedule still stands."""
    failing = select(settings.c.user_id).where(
        settings.c.enabled.is_(True), settings.c.failures > 0
    )
    return set(connection.execute(failing).scalars())
