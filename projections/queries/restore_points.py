"""Good backups by time: what a person can go back to. One kept before a restore is none of them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select

from ledger.vocabulary import BackupKind, BackupStatus
from projections.folds.backup import Backup
from projections.queries.catalog import in_store
from projections.tables.columns import backup_catalog as catalog

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

_NEWEST_FIRST = (catalog.c.created_at.desc(), catalog.c.position.desc())


def last_good_backup(
    connection: Connection,
    store: str | None,
    *,
    until: datetime | None = None,
    user_id: int | None = None,
) -> Backup | None:
    """The newest good backup made by then (None: ever), of a user or of any.

    `store`: None for any.
    """
    found = good_backups(connection, store, until=until, user_id=user_id, limit=1)
    return found[0] if found else None


def good_backups(
    connection: Connection,
    store: str | None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    user_id: int | None = None,
    limit: int,
) -> list[Backup]:
    """Some good backups, newest first, between two times, both inclusive."""
    conditions = _good(store, user_id)
    if since is not None:
        conditions.append(catalog.c.created_at >= since)
    if until is not None:
        conditions.append(catalog.c.created_at <= until)
    rows = connection.execute(
        select(catalog).where(*conditions).order_by(*_NEWEST_FIRST).limit(limit)
    )
    return [Backup(**row) for row in rows.mappings()]


def good_by_day(
    connection: Connection, store: str, begin: datetime, end: datetime, user_id: int | None
) -> dict[date, int]:
    """How many good backups were made on each day (UTC); days without any are not in it."""
    day = func.date(catalog.c.created_at)
    rows = connection.execute(
        select(day, func.count())
        .where(*_good(store, user_id), catalog.c.created_at >= begin, catalog.c.created_at < end)
        .group_by(day)
    )
    return {
        each if isinstance(each, date) else date.fromisoformat(each): number
        for each, number in rows
    }


def _good(store: str | None, user_id: int | None) -> list[ColumnElement[bool]]:
    is_sound = or_(catalog.c.condition.is_(None), catalog.c.condition != "flawed")
    is_kept_before = catalog.c.kind == BackupKind.PRE_RESTORE.value
    found = [catalog.c.status == BackupStatus.OK.value, is_sound, ~is_kept_before]
    if store is not None:
        found.append(in_store(store))
    return found if user_id is None else [*found, catalog.c.user_id == user_id]
