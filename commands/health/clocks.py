"""What `status` says of clocks that were wrong: backups dated after now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from commands.health.finding import Finding, named
from ledger.append.clock_doubt import clock_doubt
from ledger.clock import to_microseconds
from projections.queries.catalog import PRESENT
from projections.tables.columns import backup_catalog as catalog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Connection

    from commands.health.finding import Look
    from commands.site.site import Site

MAX_NAMES = 100


def clock_facts(connection: Connection, site: Site, now: datetime) -> dict[str, Any]:
    """Why the clock is in doubt, and the backups dated after now, the newest first."""
    with site.ledger.engine.connect() as ledger:
        doubt = clock_doubt(ledger, to_microseconds(now))
    ahead = (
        select(catalog.c.filename)
        .where(catalog.c.created_at > now, catalog.c.status.in_(PRESENT))
        .order_by(catalog.c.position.desc())
        .limit(MAX_NAMES)
    )
    return {"doubt": doubt, "dated_ahead": list(connection.execute(ahead).scalars())}


def clock_findings(look: Look) -> Iterator[Finding]:
    doubt = look.facts["clock"]["doubt"]
    if doubt is not None:
        passed = "the clock has passed it, or " if "behind" in doubt else ""
        yield Finding(
            "clock",
            doubt,
            f"nothing is deleted by age until {passed}a day was recorded without another jump. "
            "Check this machine's clock: date -u",
        )
    names = look.facts["clock"]["dated_ahead"]
    if names:
        number = "1 backup is" if len(names) == 1 else f"{len(names)} backups are"
        yield Finding(
            "future",
            f"{number} dated after now{named(names)}",
            "a clock was wrong when it was made; retention does not count it until then. Check "
            "this machine's clock: date -u",
        )
