"""What is due now: the scheduler's questions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, not_, or_, select

from ledger.vocabulary import BackupFrequency
from projections.folds.schedule import Schedule
from projections.tables.columns import backup_settings as settings
from projections.tables.columns import users
from projections.tables.schema import has_users

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy import Connection


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


_FIRST_DUE = _DUE.with_only_columns(settings.c.id).limit(1)
"""Most checks find nothing due, and are told so by this alone."""


_HAS_A_USER = select(users.c.id).where(users.c.id == settings.c.user_id).exists()


_HAS_NO_USER = ~_HAS_A_USER


_DUE_OF_USERS = _DUE.where(_HAS_A_USER)


_MOVED_FROM = select(settings).where(
    settings.c.missed_from > bindparam("after"), settings.c.missed_from <= bindparam("until")
)


_LONG_PAST = select(settings).where(
    settings.c.enabled.is_(True),
    settings.c.next_backup_at < bindparam("before"),
    settings.c.missed_from > bindparam("until"),
)


_BEYOND = select(settings).where(
    settings.c.cron.is_(None),
    or_(
        *(
            and_(settings.c.frequency == name, settings.c.next_backup_at > bindparam(name))
            for name in map(str, BackupFrequency)
        )
    ),
)


_KNOWN = select(users.c.id).where(users.c.id.in_(bindparam("wanted", expanding=True)))


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
    if connection.execute(_FIRST_DUE, {"now": now}).first() is None:
        return []
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


def schedules_moved_from(
    connection: Connection, after: datetime, until: datetime
) -> list[Schedule]:
    """Settings whose next run was moved by a correction from a slot in a span of time.

    Also those that are long past while a correction moved them from a slot beyond it: a clock was
    ahead once, and behind later.
    """
    span = {"after": after, "until": until, "before": after - timedelta(days=1)}
    rows = [
        row
        for statement in (_MOVED_FROM, _LONG_PAST)
        for row in connection.execute(statement, span).mappings()
    ]
    return [Schedule(**row) for row in rows]


def schedules_beyond(connection: Connection, limits: Mapping[str, datetime]) -> list[Schedule]:
    """Settings whose next run is later than their frequency's limit, found by the index."""
    rows = connection.execute(_BEYOND, limits)
    return [Schedule(**row) for row in rows.mappings()]


def cron_expressions(connection: Connection) -> list[tuple[str, str]]:
    """The cron expressions that are in use, each with its time zone."""
    statement = select(settings.c.cron, settings.c.timezone).distinct()
    rows = connection.execute(statement.where(settings.c.cron.is_not(None)))
    return [(expression, timezone) for expression, timezone in rows]


def cron_schedules_beyond(
    connection: Connection, limits: Mapping[tuple[str, str], datetime]
) -> list[Schedule]:
    """Settings whose next run is later than the limit of their expression and time zone."""
    found = []
    for (expression, timezone), limit in limits.items():
        statement = select(settings).where(
            settings.c.cron == expression,
            settings.c.timezone == timezone,
            settings.c.next_backup_at > limit,
        )
        found += [Schedule(**row) for row in connection.execute(statement).mappings()]
    return found
