"""What a person should be told of off-site copies: pure functions on events and rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from commands.notifications.incident import Incident, shown
from commands.reporting.humanize import count
from ledger.events.offsite import CopyCorrupt, CopyFailed, PacksMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ledger.records.record import Event

PASSING = frozenset(
    ("DestinationUnreachable", "ObjectMissing", "CopyStopped", "CopyDropped", "LeaseLost")
)
"""What is tried again by itself; a person hears of it where copies wait for too long."""


class Waiting(NamedTuple):
    """Backups without a copy at a destination. `since`: when the oldest of them was made."""

    destination: str
    backups: int
    since: datetime


def late_copies(
    waiting: Iterable[Waiting], after: datetime | None, until: datetime, patience: timedelta
) -> list[Incident]:
    """Destinations whose oldest missing copy became late after one moment and is so at another."""
    found = []
    for each in waiting:
        late = each.since + patience
        if late <= until and (after is None or late > after):
            text = (
                f"{count(each.backups, 'backup')} not off-site yet at {each.destination}, the "
                f"oldest since {shown(each.since)}"
            )
            found.append(Incident("offsite", text, "why: backup-ledger audit log --failed"))
    return found


def _copy_failed(event: Event, details: CopyFailed) -> Incident | None:
    if details.error_type in PASSING:
        return None
    text = f"backup {details.backup_id} was not copied off-site: {event.error_message}"
    advice = "backup-ledger offsite status"
    if details.error_type == "RepositoryForked":
        advice = "nothing was touched there; find out who else uses it, before anything else"
    return Incident("offsite", text, advice)


def _copy_corrupt(event: Event, details: CopyCorrupt) -> Incident:
    problem = details.problem or event.error_message
    text = f"the off-site copy {event.resource_id} of {details.backup_id} is damaged: {problem}"
    return Incident("offsite", text, "make a new one: backup-ledger offsite repair")


def _packs_missing(_event: Event, details: PacksMissing) -> Incident | None:
    if details.part > 1:
        return None
    state = "damaged" if details.damaged else "gone"
    text = f"{count(details.count, 'pack')} of an off-site destination {state}"
    return Incident("offsite", text, "which copies that takes: backup-ledger offsite verify")


OFFSITE_TELLING: dict[str, Callable[[Event, Any], Incident | None]] = {
    CopyFailed.event_type: _copy_failed,
    CopyCorrupt.event_type: _copy_corrupt,
    PacksMissing.event_type: _packs_missing,
}
