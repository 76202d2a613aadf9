"""What `status` says of clocks that were wrong: backups dated after now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from projections.queries.catalog import PRESENT
from projections.tables.columns import backup_catalog as catalog

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

MAX_NAMES = 100
MAX_NAMES_SHOWN = 3


def clock_facts(connection: Connection, now: datetime) -> dict[str, Any]:
    """The backups that are there and dated after now, by name, the newest first."""
    ahead = (
        select(catalog.c.filename)
        .where(catalog.c.created_at > now, catalog.c.status.in_(PRESENT))
        .order_by(catalog.c.position.desc())
        .limit(MAX_NAMES)
    )
    return {"dated_ahead": list(connection.execute(ahead).scalars())}


def clock_warnings(facts: dict[str, Any]) -> list[str]:
    """Each with what to do about it."""
    names = facts["dated_ahead"]
    if not names:
        return []
    more = " and more" if len(names) > MAX_NAMES_SHOWN else ""
    number = "1 backup is" if len(names) == 1 else f"{len(names)} backups are"
    advice = (
        "A clock was wrong when it was made; retention does not count it until then. "
        "Check this machine's clock: date -u"
    )
    return [f"{number} dated after now: {', '.join(names[:MAX_NAMES_SHOWN])}{more}. {advice}"]
