"""Questions about one source's backups in the order in which they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, not_, or_, select

from ledger.vocabulary import BackupStatus
from projections.folds.backup import Backup
from projections.tables.columns import backup_catalog as catalog

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

_COLLAPSED = and_(catalog.c.collapsed_from.is_not(None), catalog.c.accepted_at.is_(None))
_FLAWED = and_(catalog.c.condition.is_not(None), catalog.c.condition == "flawed")


_OF_SOURCE = catalog.c.source == bindparam("source")
_IS_SOUND = or_(catalog.c.condition.is_(None), catalog.c.condition != "flawed")


def _last(*conditions: Any) -> Select[Any]:
    """The newest of a source's backups; built once, since every backup asks."""
    chosen = select(catalog).where(_OF_SOURCE, *conditions)
    return chosen.order_by(catalog.c.position.desc()).limit(1)


_LAST = _last()
_LAST_WHOLE = _last(not_(_COLLAPSED))
_LAST_COMPARABLE = _last(catalog.c.status == BackupStatus.OK, _IS_SOUND, not_(_COLLAPSED))
_LAST_ACCEPTED = _last(_FLAWED, catalog.c.accepted_at.is_not(None))


def last_backup_of_source(connection: Connection, source: str) -> Backup | None:
    """The backup made last of a source, whatever became of it."""
    return _found(connection, _LAST, source)


def last_whole_of_source(connection: Connection, source: str) -> Backup | None:
    """The last one that is not an unaccepted collapse, whatever became of it."""
    return _found(connection, _LAST_WHOLE, source)


def last_comparable_of_source(connection: Connection, source: str) -> Backup | None:
    """The last good one that is not an unaccepted collapse: what a new one is compared with."""
    return _found(connection, _LAST_COMPARABLE, source)


def last_accepted_of_source(connection: Connection, source: str) -> Backup | None:
    """The last flawed one whose findings a person has accepted, whatever became of it."""
    return _found(connection, _LAST_ACCEPTED, source)


def collapses_of_source(connection: Connection, source: str, after: int) -> list[Backup]:
    """Unaccepted collapses that were recorded after a position, the oldest first."""
    chosen = (catalog.c.source == source, _COLLAPSED, catalog.c.position > after)
    rows = connection.execute(select(catalog).where(*chosen).order_by(catalog.c.position))
    return [Backup(**row) for row in rows.mappings()]


def _found(connection: Connection, statement: Select[Any], source: str) -> Backup | None:
    found = connection.execute(statement, {"source": source}).mappings().one_or_none()
    return None if found is None else Backup(**found)
