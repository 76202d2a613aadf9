"""Questions about one source's backups in the order in which they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, not_, or_, select

from ledger.vocabulary import BackupStatus
from projections.folds.backup import Backup
from projections.tables.columns import backup_catalog as catalog

if TYPE_CHECKING:
    from sqlalchemy import Connection

_COLLAPSED = and_(catalog.c.collapsed_from.is_not(None), catalog.c.accepted_at.is_(None))
_FLAWED = and_(catalog.c.condition.is_not(None), catalog.c.condition == "flawed")


def last_backup_of_source(connection: Connection, source: str) -> Backup | None:
    """The backup made last of a source, whatever became of it."""
    return _last(connection, source)


def last_whole_of_source(connection: Connection, source: str) -> Backup | None:
    """The last one that is no unaccepted collapse, whatever became of it."""
    return _last(connection, source, not_(_COLLAPSED))


def last_comparable_of_source(connection: Connection, source: str) -> Backup | None:
    """The last good one that is no unaccepted collapse: what a new one is compared with."""
    is_sound = or_(catalog.c.condition.is_(None), catalog.c.condition != "flawed")
    good = catalog.c.status == BackupStatus.OK
    return _last(connection, source, good, is_sound, not_(_COLLAPSED))


def last_accepted_of_source(connection: Connection, source: str) -> Backup | None:
    """The last flawed one whose findings a person has accepted, whatever became of it."""
    return _last(connection, source, _FLAWED, catalog.c.accepted_at.is_not(None))


def collapses_of_source(connection: Connection, source: str, after: int) -> list[Backup]:
    """Unaccepted collapses that were recorded after a position, the oldest first."""
    chosen = (catalog.c.source == source, _COLLAPSED, catalog.c.position > after)
    rows = connection.execute(select(catalog).where(*chosen).order_by(catalog.c.position))
    return [Backup(**row) for row in rows.mappings()]


def _last(connection: Connection, source: str, *conditions: Any) -> Backup | None:
    chosen = select(catalog).where(catalog.c.source == source, *conditions)
    newest = chosen.order_by(catalog.c.position.desc()).limit(1)
    found = connection.execute(newest).mappings().one_or_none()
    return None if found is None else Backup(**found)
