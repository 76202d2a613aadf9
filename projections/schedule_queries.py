"""Questions to the users' settings and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, func, not_, or_, select, text

from ledger.events.scheduling import BackupStarted
from projections.run import Run
from projections.schedule import Schedule
from projections.schema import has_users
from projections.tables import audit_trail as trail
from projections.tables import backup_runs as runs
from projections.tables import backup_settings as settings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Column, Connection, RowMapping

_OF_USER = select(settings).where(settings.c.user_id == bindparam("wanted"))
_DUE = (
    select(settings)
    .where(
        settings.c.enabled.is_(True),
        settings.c.next_backup_at <= bindparam("now"),
        settings.c.paused.is_(False),
        settings.c.open_run_id.is_(None),
    )
    .order_by(settings.c.next_backup_at, settings.c.id)
    .limit(bindparam("at_most"))
)
_HAS_A_USER = text("EXISTS (SELECT 1 FROM users WHERE users.id = backup_settings.user_id)")
_HAS_NO_USER = text("NOT EXISTS (SELECT 1 FROM users WHERE users.id = backup_settings.user_id)")
_DUE_OF_USERS = _DUE.where(_HAS_A_USER)
_KNOWN = text("SELECT id FROM users WHERE id IN :wanted").bindparams(
    bindparam("wanted", expanding=True)
)
LOOKUP_VALUES = 500


def schedule_of(connection: Connection, user_id: int) -> Schedule | None:
    found = connection.execute(_OF_USER, {"wanted": user_id}).mappings().one_or_none()
    return None if found is None else Schedule(**found)


def schedules_of(connection: Connection, user_ids: Collection[int]) -> dict[int, Schedule]:
    """The settings of those users who have any."""
    rows = _rows_with(connection, settings.c.user_id, user_ids)
    return {row["user_id"]: Schedule(**row) for row in rows}


def all_schedules(connection: Connection) -> list[Schedule]:
    """Every user's settings, by user."""
    rows = connection.execute(select(settings).order_by(settings.c.user_id))
    return [Schedule(**row) for row in rows.mappings()]


def schedules_page(connection: Connection, after: int, limit: int) -> list[Schedule]:
    """Settings of users beyond one, by user."""
    statement = select(settings).where(settings.c.user_id > after)
    rows = connection.execute(statement.order_by(settings.c.user_id).limit(limit))
    return [Schedule(**row) for row in rows.mappings()]


def due_schedules(
    connection: Connection,
    now: datetime,
    limit: int,
    *,
    after: Schedule | None = None,
    ranges: Collection[tuple[int, int]] | None = None,
    is_rest: bool = False,
) -> list[Schedule]:
    """What should run now, longest waiting first. A user who is gone is not due.

    `after`: the last one of a page; those that come after it. `ranges`: only users within them,
    first and last included; with `is_rest` only the others.
    """
    statement = _DUE_OF_USERS if has_users(connection) else _DUE
    if after is not None:
        moment = settings.c.next_backup_at
        is_as_long = and_(moment == after.next_backup_at, settings.c.id > after.id)
        statement = statement.where(
            moment >= after.next_backup_at, or_(moment > after.next_backup_at, is_as_long)
        )
    if ranges is not None:
        within = or_(*(settings.c.user_id.between(first, last) for first, last in ranges))
        statement = statement.where(not_(within) if is_rest else within)
    rows = connection.execute(statement, {"now": now, "at_most": limit})
    return [Schedule(**row) for row in rows.mappings()]


def schedules_beyond(connection: Connection, limits: Mapping[str, datetime]) -> list[Schedule]:
    """Settings whose next run is later than their frequency's limit, found by the index."""
    later = or_(
        *(
            and_(settings.c.frequency == frequency, settings.c.next_backup_at > limit)
            for frequency, limit in limits.items()
        )
    )
    return [Schedule(**row) for row in connection.execute(select(settings).where(later)).mappings()]


def count_schedules(connection: Connection) -> tuple[int, int]:
    """How many settings are enabled, and how many there are."""
    enabled = func.count().filter(settings.c.enabled.is_(True))
    row = connection.execute(select(enabled, func.count()).select_from(settings)).one()
    return int(row[0]), int(row[1])


def orphaned_users(connection: Connection) -> set[int]:
    """Users with settings whom the application no longer knows."""
    if not has_users(connection):
        return set()
    gone = select(settings.c.user_id).where(_HAS_NO_USER)
    return set(connection.execute(gone).scalars())


def unknown_users(connection: Connection, user_ids: Collection[int]) -> set[int]:
    """Those of these users whom the application no longer knows, whatever the settings say."""
    if not has_users(connection):
        return set()
    ordered, known = sorted(user_ids), set()
    for start in range(0, len(ordered), LOOKUP_VALUES):
        wanted = {"wanted": ordered[start : start + LOOKUP_VALUES]}
        known |= set(connection.execute(_KNOWN, wanted).scalars())
    return set(ordered) - known


def user_exists(connection: Connection, user_id: int) -> bool:
    """Whether the application knows a user; True where it keeps no users here."""
    if not has_users(connection):
        return True
    found = connection.execute(text("SELECT 1 FROM users WHERE id = :id"), {"id": user_id})
    return found.first() is not None


def run_with_id(connection: Connection, run_id: str) -> Run | None:
    row = connection.execute(select(runs).where(runs.c.run_id == run_id)).mappings().one_or_none()
    return None if row is None else Run(**row)


def runs_with_ids(connection: Connection, run_ids: Collection[str]) -> dict[str, Run]:
    """Runs by run_id; unknown ones are not in it."""
    rows = _rows_with(connection, runs.c.run_id, run_ids)
    return {row["run_id"]: Run(**row) for row in rows}


def _rows_with(
    connection: Connection, column: Column[Any], wanted: Collection[Any]
) -> Iterator[RowMapping]:
    """The rows of a column's table that have one of these values in it."""
    ordered = sorted(wanted)
    for start in range(0, len(ordered), LOOKUP_VALUES):
        some = column.in_(ordered[start : start + LOOKUP_VALUES])
        yield from connection.execute(select(column.table).where(some)).mappings()


def latest_runs(connection: Connection, limit: int) -> list[Run]:
    """The newest runs, newest first."""
    rows = connection.execute(select(runs).order_by(runs.c.position.desc()).limit(limit))
    return [Run(**row) for row in rows.mappings()]


def runs_page(
    connection: Connection,
    user_id: int | None,
    outcome: str | None,
    *,
    before: int | None,
    limit: int,
) -> tuple[list[Run], int | None]:
    """Runs, newest first, and where the next page begins; None at the end.

    Of one user or outcome, or of any. `before`: where the page before ended.
    """
    if user_id is None and outcome is None:
        return _newest_claims(connection, before, limit)
    statement = select(runs)
    if before is not None:
        statement = statement.where(runs.c.position < before)
    if user_id is not None:
        statement = statement.where(runs.c.user_id == user_id)
    if outcome is not None:
        statement = statement.where(runs.c.outcome == str(outcome))
    rows = connection.execute(statement.order_by(runs.c.position.desc()).limit(limit))
    found = [Run(**row) for row in rows.mappings()]
    return found, found[-1].position if len(found) == limit else None


def _newest_claims(
    connection: Connection, before: int | None, limit: int
) -> tuple[list[Run], int | None]:
    """By the trail's index of types: the runs of all users have no order of their own."""
    claims = select(trail.c.position, trail.c.event_id).where(
        trail.c.event_type == BackupStarted.event_type
    )
    if before is not None:
        claims = claims.where(trail.c.position < before)
    claimed = connection.execute(claims.order_by(trail.c.position.desc()).limit(limit)).all()
    wanted = select(runs).where(runs.c.run_id.in_([each.event_id for each in claimed]))
    found = {row["run_id"]: Run(**row) for row in connection.execute(wanted).mappings()}
    ordered = [found[each.event_id] for each in claimed if each.event_id in found]
    return ordered, claimed[-1].position if len(claimed) == limit else None
