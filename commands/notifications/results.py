"""What became of the newest message to each target, read from the ledger's newest events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.events.housekeeping import NotificationFailed, NotificationSent
from projections.queries.audit import AuditFilter, newest_matching

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from commands.site.site import Site
    from ledger.records.record import Event

LOOKED_AT = 50
"""Newest outcomes of each kind that are looked at: reading them all would take a whole ledger."""


@dataclass(frozen=True, slots=True)
class TargetResult:
    """The newest outcome at one target. `problem`: why it did not take the message."""

    at: datetime
    position: int
    problem: str | None = None


def last_results(site: Site, names: Sequence[str]) -> dict[str, TargetResult]:
    """The newest known outcome of each target; of a target that has none there is nothing.

    `names`: as `names_of` gives them. The first try of a message goes to every target, a later
    one to those alone that failed before.
    """
    outcomes = _newest_outcomes(site)
    failed_before: dict[tuple[str, int], list[str]] = {
        (seen.notification_id, seen.attempt): seen.failed_targets
        for event in outcomes.values()
        if isinstance(seen := event.details, NotificationFailed)
    }
    known = max(  # a target that was added since had no part in any of them
        (
            seen.targets
            for event in outcomes.values()
            if isinstance(seen := event.details, NotificationSent) and seen.attempt == 1
        ),
        default=len(names),
    )
    found: dict[str, TargetResult] = {}
    for position, event in sorted(outcomes.items(), reverse=True):
        seen = event.details
        assert isinstance(seen, NotificationSent | NotificationFailed)
        before = failed_before.get((seen.notification_id, seen.attempt - 1), [])
        tried = names[:known] if seen.attempt == 1 else before
        failed = seen.failed_targets if isinstance(seen, NotificationFailed) else []
        for name in tried:
            problem = _reason(event.error_message or "", name) if name in failed else None
            found.setdefault(name, TargetResult(event.timestamp, position, problem))
    return {name: found[name] for name in names if name in found}


def _newest_outcomes(site: Site) -> dict[int, Event]:
    with site.read_models.reading() as connection:
        positions = [
            position
            for kind in (NotificationSent, NotificationFailed)
            for position in newest_matching(
                connection, AuditFilter(event_type=kind.event_type), LOOKED_AT
            )
        ]
    return {
        recorded.position: recorded.event
        for position in positions
        for recorded in site.ledger.recorded(after=position - 1, up_to=position)
    }


def _reason(text: str, name: str) -> str:
    """What the event says of one target."""
    said = text.partition(f"{name}: ")[2]
    return said.partition("; target ")[0] or "it did not take the message"
