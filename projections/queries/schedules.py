"""Questions to the users' settings and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, or_, select

from ledger.append.batched import batched
from ledger.events.scheduling import BackupStarted
from projections.folds.run import Run
from projections.folds.schedule import Schedule
from projections.queries.due import _HAS_NO_USER, _KNOWN
from projections.tables.columns import audit_trail as trail
from projections.tables.columns import backup_runs as runs
from projections.tables.columns import backup_settings as settings
from projections.tables.columns import users
from projections.tables.schema import has_users

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Column, ColumnElement, Connection, RowMapping

_OF_USER = select(settings).where(settings.c.user_id == bindparam("wanted"))

FREQUENT = 20_000
"""So many rows are sorted more slowly than some of them are found among all."""
_RUNNING = select(runs).where(runs.c.outcome == "running")


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
    for batch in batched(ordered):
        known |= set(connection.execute(_KNOWN, {"wanted": batch}).scalars())
    return set(ordered) - known


def user_exists(connection: Connection, user_id: int) -> bool:
    """Whether the application knows a user; True where it keeps no users here."""
    if not has_users(connection):
        return True
    found = connection.execute(select(users.c.id).where(users.c.id == user_id))
    return found.first() is not None


def run_with_id(connection: Connection, run_id: str) -> Run | None:
    row = connection.execute(select(runs).where(runs.c.run_id == run_id)).mappings().one_or_none()
    return None if row is None else Run(**row)


def running_runs(connection: Connection) -> list[Run]:
    """Runs that have not ended."""
    rows = connection.execute(_RUNNING)
    return [Run(**row) for row in rows.mappings()]


def runs_with_ids(connection: Connection, run_ids: Collection[str]) -> dict[str, Run]:
    """Runs by run_id; unknown ones are not in it."""
    rows = _rows_with(connection, runs.c.run_id, run_ids)
    return {row["run_id"]: Run(**row) for row in rows}


def _rows_with(
    connection: Connection, column: Column[Any], wanted: Collection[Any]
) -> Iterator[RowMapping]:
    """The rows of a column's table that have one of these values in it."""
    ordered = sorted(wanted)
    for batch in batched(ordered):
        some = column.in_(batch)
        yield from connection.execute(select(column.table).where(some)).mappings()


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
    users = None if user_id is None else [user_id]
    return runs_list(connection, users, outcome, beyond=before, limit=limit)


def runs_list(
    connection: Connection,
    user_ids: Collection[int] | None,
    outcome: str | None,
    *,
    beyond: int | None,
    limit: int,
    oldest_first: bool = False,
) -> tuple[list[Run], int | None]:
    """The same of several users, in either order, and where the next page begins."""
    if user_ids is None and outcome is None:
        return _claims_in_order(connection, beyond, limit, oldest_first=oldest_first)
    if user_ids is None and _is_frequent(connection, str(outcome)):
        return _claims_with(connection, str(outcome), beyond, limit, oldest_first=oldest_first)
    statement = select(runs)
    if beyond is not None:
        is_beyond = runs.c.position > beyond if oldest_first else runs.c.position < beyond
        statement = statement.where(is_beyond)
    if user_ids is not None:
        statement = statement.where(runs.c.user_id.in_(sorted(user_ids)))
    if outcome is not None:
        statement = statement.where(runs.c.outcome == str(outcome))
    ordered = runs.c.position if oldest_first else runs.c.position.desc()
    rows = connection.execute(statement.order_by(ordered).limit(limit))
    found = [Run(**row) for row in rows.mappings()]
    return found, found[-1].position if len(found) == limit else None


def _is_frequent(connection: Connection, outcome: str) -> bool:
    """Whether so many runs ended so that sorting them takes longer than looking for some."""
    found = select(runs.c.outcome).where(runs.c.outcome == outcome).offset(FREQUENT).limit(1)
    return connection.execute(found).first() is not None


def _claims_with(
    connection: Connection, outcome: str, beyond: int | None, limit: int, *, oldest_first: bool
) -> tuple[list[Run], int | None]:
    """Those among the runs in order that ended so."""
    found: list[Run] = []
    while len(found) < limit:
        some, beyond = _claims_in_order(connection, beyond, 4 * limit, oldest_first=oldest_first)
        found += [each for each in some if each.outcome == outcome]
        if beyond is None:
            break
    return found[:limit], found[limit - 1].position if len(found) >= limit else None


def _claims_in_order(
    connection: Connection, beyond: int | None, limit: int, *, oldest_first: bool
) -> tuple[list[Run], int | None]:
    """By the trail's index of types: the runs of all users have no order of their own."""
    claims = select(trail.c.position, trail.c.event_id).where(
        trail.c.event_type == BackupStarted.event_type
    )
    if beyond is not None:
        is_beyond = trail.c.position > beyond if oldest_first else trail.c.position < beyond
        claims = claims.where(is_beyond)
    ordered_by = trail.c.position if oldest_first else trail.c.position.desc()
    claimed = connection.execute(claims.order_by(ordered_by).limit(limit)).all()
    is_wanted: ColumnElement[bool] = runs.c.run_id.in_(
        [each.event_id for each in claimed if each.event_id]
    )
    nameless = [each.position for each in claimed if each.event_id is None]  # erased
    if nameless:
        is_wanted = or_(is_wanted, runs.c.position.in_(nameless))
    rows = connection.execute(select(runs).where(is_wanted)).mappings()
    found = {row["position"]: Run(**row) for row in rows}
    ordered = [found[each.position] for each in claimed if each.position in found]
    return ordered, claimed[-1].position if len(claimed) == limit else None
