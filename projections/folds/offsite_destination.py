"""What a destination's events add up to: one row of `offsite_destinations`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ledger.clock import format_instant
from ledger.events.offsite import (
    DestinationAdded,
    DestinationAttached,
    DestinationChanged,
    DestinationDetached,
    DestinationRemoved,
    PacksFound,
    PacksMissing,
)
from ledger.events.offsite_deletion import (
    CollectCompleted,
    CollectFailed,
    CollectStarted,
    PacksCondemned,
    PacksDeleted,
    RecipientsChanged,
)
from ledger.records.record import Event

STATED = ("versioned", "lock_days", "noncurrent_days")
"""What only the operator knows of a bucket; everything else that changes is a setting."""
OPTION = "option_"
"""What the name of a store's option begins with in a change; the rest is the option's own name."""
ALARMS = ("RepositoryForked", "RepositoryAhead")
"""Ends of deleting that do not pass by themselves."""


@dataclass(slots=True)
class Destination:
    """One repository elsewhere. `status`: attached, detached (only read), or removed.

    `missing_packs`, `damaged_packs`: names in hex of packs which no new copy leans on.
    `condemned`: packs that go, by the time from which on they may be deleted. `collect_id`: of an
    act of deleting that has no outcome yet, with its owner. `collect_problem`: why nobody may
    delete there, until a person has looked.
    """

    repository_id: str
    name: str
    url: str
    clear: bool
    share: bool
    salt: str
    added_at: datetime
    status: str = "attached"
    options: dict[str, Any] = field(default_factory=dict)
    recipients: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    stated: dict[str, Any] = field(default_factory=dict)
    missing_packs: list[str] = field(default_factory=list)
    damaged_packs: list[str] = field(default_factory=list)
    condemned: dict[str, list[str]] = field(default_factory=dict)
    collect_id: str | None = None
    collect_owner: str | None = None
    collect_problem: str | None = None
    position: int = 0

    @property
    def is_attached(self) -> bool:
        return self.status == "attached"


def evolve_destination(destination: Destination | None, event: Event) -> Destination | None:
    """Fold one event of a `destination/` stream."""
    details = event.details
    if isinstance(details, DestinationAdded):
        return _added(destination, event, details)
    if destination is None:
        return None
    if isinstance(details, DestinationChanged):
        _changed(destination, details)
    elif isinstance(details, DestinationAttached):
        destination.status = "attached"
    elif isinstance(details, DestinationDetached):
        destination.status = "detached"
    elif isinstance(details, DestinationRemoved):
        destination.status = "removed"
    elif isinstance(details, PacksMissing | PacksFound):
        _packs(destination, details)
    elif isinstance(details, RecipientsChanged):
        destination.recipients = list(details.after)
    else:
        _collected(destination, event, details)
    return destination


def _collected(destination: Destination, event: Event, details: Any) -> None:
    if isinstance(details, CollectStarted):
        destination.collect_id, destination.collect_owner = details.collect_id, details.owner
    elif isinstance(details, CollectCompleted | CollectFailed):
        if destination.collect_id == details.collect_id:
            destination.collect_id = destination.collect_owner = None
        if isinstance(details, CollectCompleted):
            destination.collect_problem = None
        elif details.error_type in ALARMS:
            destination.collect_problem = event.error_message
    elif isinstance(details, PacksCondemned):
        moment = format_instant(details.not_before)
        packs = [*destination.condemned.get(moment, ()), *details.packs]
        destination.condemned = destination.condemned | {moment: packs}
    elif isinstance(details, PacksDeleted):
        gone = set(details.packs)
        left = {
            moment: [name for name in packs if name not in gone]
            for moment, packs in destination.condemned.items()
        }
        destination.condemned = {moment: packs for moment, packs in left.items() if packs}


def _changed(destination: Destination, details: DestinationChanged) -> None:
    destination.url = str(details.after.get("url") or destination.url)
    options = {
        name.removeprefix(OPTION): value
        for name, value in details.after.items()
        if name.startswith(OPTION)
    }
    destination.options = destination.options | options
    stated = {name: value for name, value in details.after.items() if name in STATED}
    destination.stated = destination.stated | stated
    kept = {
        name: value
        for name, value in details.after.items()
        if name not in (*STATED, "url") and not name.startswith(OPTION)
    }
    destination.settings = destination.settings | kept


def _packs(destination: Destination, details: PacksMissing | PacksFound) -> None:
    before = destination.damaged_packs if details.damaged else destination.missing_packs
    if isinstance(details, PacksMissing):
        after = sorted({*before, *details.packs})
    else:
        after = sorted(set(before) - set(details.packs))
    if details.damaged:
        destination.damaged_packs = after
    else:
        destination.missing_packs = after


def _added(before: Destination | None, event: Event, details: DestinationAdded) -> Destination:
    """A repository that is added again resumes its stream: what is missing stays missing."""
    return Destination(
        repository_id=event.resource_id,
        name=details.name,
        url=details.url,
        clear=details.clear,
        share=details.share,
        salt=details.salt,
        added_at=event.timestamp,
        options=dict(details.options),
        recipients=list(details.recipients),
        settings=dict(details.settings),
        stated=dict(details.stated),
        missing_packs=[] if before is None else before.missing_packs,
        damaged_packs=[] if before is None else before.damaged_packs,
        condemned={} if before is None else before.condemned,
        position=0 if before is None else before.position,
    )
