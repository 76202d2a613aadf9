"""Questions of somebody who watches: how many, how old, how late, how large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, and_, func, or_, select, type_coerce

from ledger.vocabulary import RunOutcome
from projections.queries.catalog import PRESENT
from projections.queries.schedules import runs_page
from projections.tables.columns import audit_trail, backup_catalog, backup_runs, backup_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

RECENT_RUNS = 1_000
"""Lateness and duration are of the completed ones among so many of the newest runs."""


@dataclass(frozen=True, slots=True)
class BackupTotals:
    """Backups of one status and kind, and the sum of their sizes, each on its own."""

    status: str
    kind: str
    number: int
    logical_bytes: int


@dataclass(frozen=True, slots=True)
class RecentRuns:
    """Of newest runs that were completed, in seconds: from slot to end, from start to end."""

    lateness: Sequence[float]
    duration: Sequence[float]


def runs_by_outcome(connection: Connection) -> dict[str, int]:
    """Outcome -> number of runs, ever."""
    counted = select(backup_runs.c.outcome, func.count()).group_by(backup_runs.c.outcome)
    found = {str(outcome): 0 for outcome in RunOutcome}
    return found | {row[0]: row[1] for row in connection.execute(counted)}


def recent_runs(connection: Connection, limit: int = RECENT_RUNS) -> RecentRuns:
    found, _following = runs_page(connection, None, None, before=None, limit=limit)
    completed = [
        (each.slot, each.started_at, each.ended_at)
        for each in found
        if each.outcome == RunOutcome.COMPLETED and each.ended_at is not None
    ]
    return RecentRuns(
        sorted((ended - slot).total_seconds() for slot, _started, ended in completed),
        sorted((ended - started).total_seconds() for _slot, started, ended in completed),
    )


def backup_totals(connection: Connection) -> list[BackupTotals]:
    """Every status and kind that there is."""
    catalog = backup_catalog.c
    rows = connection.execute(
        select(catalog.status, catalog.kind, func.count(), _whole(func.sum(catalog.size))).group_by(
            catalog.status, catalog.kind
        )
    )
    return [BackupTotals(*row) for row in rows]


def condition_counts(connection: Connection) -> dict[str, int]:
    """How many backups that are there were made flawed, unchecked in part, or as a collapse."""
    catalog = backup_catalog.c
    wanted = {
        "flawed": catalog.condition == "flawed",
        "unchecked": catalog.condition == "unchecked",
        "collapsed": and_(catalog.collapsed_from.is_not(None), catalog.accepted_at.is_(None)),
    }
    counts = [func.count().filter(condition) for condition in wanted.values()]
    there = select(*counts).select_from(backup_catalog).where(catalog.status.in_(PRESENT))
    return dict(zip(wanted, connection.execute(there).one(), strict=True))


def stored_bytes(connection: Connection) -> int:
    """Bytes of the files that are there; one that several backups share counts once."""
    catalog = backup_catalog.c
    files = (
        select(func.coalesce(catalog.shared_with, catalog.backup_id), func.max(catalog.size))
        .where(catalog.status.in_(PRESENT))
        .group_by(func.coalesce(catalog.shared_with, catalog.backup_id))
        .subquery()
    )
    return int(connection.execute(select(_whole(func.sum(files.c[1])))).scalar_one())


def last_successes(connection: Connection, limit: int) -> list[tuple[int, datetime | None]]:
    """Enabled users and when their last scheduled backup was completed, the oldest first."""
    settings = backup_settings.c
    rows = connection.execute(
        select(settings.user_id, settings.last_backup_at)
        .where(settings.enabled.is_(True))
        .order_by(settings.last_backup_at.is_not(None), settings.last_backup_at)
        .limit(limit)
    )
    return [(row.user_id, row.last_backup_at) for row in rows]


def schedule_counts(connection: Connection, overdue_before: datetime) -> dict[str, int]:
    """How many schedules are in each state. Overdue: due since before a moment, and not run."""
    settings = backup_settings.c
    running = settings.open_run_id.is_not(None)
    waiting = and_(settings.enabled.is_(True), settings.paused.is_(False), ~running)
    states: dict[str, Any] = {
        "enabled": settings.enabled.is_(True),
        "paused": settings.paused.is_(True),
        "failing": and_(settings.enabled.is_(True), settings.failures > 0),
        "running": running,
        "overdue": and_(waiting, settings.next_backup_at <= overdue_before),
    }
    counts = [func.count().filter(condition) for condition in states.values()]
    row = connection.execute(select(func.count(), *counts).select_from(backup_settings)).one()
    return {"total": row[0]} | dict(zip(states, row[1:], strict=True))


@dataclass(frozen=True, slots=True)
class LastChecks:
    """When a backup was last looked at, and last restored for trial; None for never."""

    verified_at: datetime | None
    drilled_at: datetime | None


def last_checks(connection: Connection) -> LastChecks:
    """Of all backups, those that are gone included."""
    catalog = backup_catalog.c
    newest = func.max(catalog.verified_at)
    row = connection.execute(
        select(newest, newest.filter(catalog.verified_level == "drill")).select_from(backup_catalog)
    ).one()
    return LastChecks(row[0], row[1])


def count_late(
    connection: Connection,
    limits: Mapping[str, datetime],
    cron_limits: Mapping[tuple[str, str], datetime],
) -> int:
    """Users whose last backup is older than the limit of their frequency, or of their cron.

    Whoever never had one is late since the settings were made; a change of them begins anew.
    """
    settings = backup_settings.c
    last = func.coalesce(settings.last_backup_at, settings.created_at)

    def is_late(limit: datetime) -> Any:
        return and_(last < limit, settings.updated_at < limit)

    late = [
        and_(settings.cron.is_(None), settings.frequency == name, is_late(limit))
        for name, limit in limits.items()
    ]
    late += [
        and_(settings.cron == cron, settings.timezone == timezone, is_late(limit))
        for (cron, timezone), limit in cron_limits.items()
    ]
    runs = and_(settings.enabled.is_(True), settings.paused.is_(False))
    return int(connection.execute(select(func.count()).where(runs, or_(*late))).scalar_one())


def count_events(connection: Connection, event_type: str) -> int:
    """How many events of a type there are."""
    of_type = select(func.count()).where(audit_trail.c.event_type == event_type)
    return int(connection.execute(of_type).scalar_one())


def _whole(amount: Any) -> Any:
    """A sum of sizes as an integer: PostgreSQL makes it a numeric."""
    return type_coerce(func.coalesce(amount, 0), Integer)
