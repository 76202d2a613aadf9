"""The newest outcome of each target, read back from what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from commands.notifications.results import last_results
from ledger.append.ledger import Draft
from ledger.clock import ManualClock
from ledger.events.housekeeping import NotificationFailed, NotificationSent
from ledger.vocabulary import LEDGER_STREAM
from tests.commands.world import MIDNIGHT, World, make_database

NAMES = ["target 1 (mailto)", "target 2 (slack)", "target 3 (json)"]


def test_a_retry_says_something_of_those_alone_that_had_failed(tmp_path: Path) -> None:
    """Target 2 took the second try, target 1 the first; nobody ever told target 4 anything."""
    make_database(tmp_path / "app.db")
    world = World(tmp_path, ManualClock(MIDNIGHT))
    site = world.site

    def record(details: Any, problem: str | None = None) -> None:
        world.advance(minutes=1)
        site.ledger.append(world.context(), Draft(LEDGER_STREAM, details, error_message=problem))

    record(NotificationSent(notification_id=str(UUID(int=1)), attempt=1, targets=3))
    failed = {"notification_id": str(UUID(int=2)), "error_type": "NotDelivered"}
    record(
        NotificationFailed(attempt=1, failed_targets=NAMES[1:], **failed),
        f"not taken by {NAMES[1]}: NotDelivered: busy; later; {NAMES[2]}: TimeoutError",
    )
    record(
        NotificationFailed(attempt=2, failed_targets=NAMES[2:], **failed),
        f"not taken by {NAMES[2]}: NotDelivered: gone",
    )
    found = last_results(site, [*NAMES, "target 4 (xmpp)"])
    assert {name: result.problem for name, result in found.items()} == {
        NAMES[0]: None,
        NAMES[1]: None,
        NAMES[2]: "NotDelivered: gone",
    }
    times = [found[name].at for name in NAMES]
    assert times[0] < times[1] == times[2]
    world.close()
