"""The office of the golden ledger, opened by whichever code runs this."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from commands.site.configuration import Configuration
from commands.site.opening import open_site
from commands.site.site import Site
from ledger.clock import ManualClock
from ledger.records.record import Actor, Event
from ledger.verify.verify import verify

ADA = Actor(id="ada", kind="operator")
LATER = datetime(2025, 3, 1, tzinfo=UTC)


@contextmanager
def office(folder: Path, now: datetime = LATER) -> Iterator[Site]:
    """The site in a folder; in the end its proof must hold, whatever was done."""
    configuration = Configuration(database=folder / "app.db", backups=folder / "backups")
    site = open_site(configuration, "act", clock=ManualClock(now))
    try:
        site.catch_up()
        yield site
        assert verify(site.ledger.engine).ok
    finally:
        site.close()


def events_of(site: Site, event_type: str) -> list[Event]:
    found = (each.event for each in site.ledger.recorded())
    return [each for each in found if each.event_type == event_type]


def stored_records(site: Site, event_type: str) -> list[dict[str, Any]]:
    """Records as they stand, whatever the code would make of them."""
    rows = site.ledger.records()
    return [json.loads(row.record) for row in rows if row.event_type == event_type]


def leave_a_jumped_clock(site: Site) -> None:
    """A clock that stood three years ahead for a moment, while a user was set up."""
    from commands.runs.corrections import correct_next_runs  # noqa: PLC0415
    from commands.schedules.settings import configure  # noqa: PLC0415

    clock = site.clock
    assert isinstance(clock, ManualClock)
    now = clock.now()
    clock.move_to(now + timedelta(days=1_000))
    configure(site, site.context(ADA), 4, {"backup_time": f"0{now.minute % 10}:30"})
    clock.move_to(now)
    assert correct_next_runs(site, site.context(ADA)) == 1


def folder_argument() -> Path:
    return Path(sys.argv[1])
