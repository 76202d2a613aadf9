"""Questions to the audit trail: which positions match a filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ledger.events import REGISTRY
from ledger.vocabulary import (
    BACKUP,
    COPY,
    DESTINATION,
    RESTORE,
    RETENTION,
    SCHEDULE,
    SCHEDULER,
)
from projections.tables.columns import audit_trail as trail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Select


STREAM_KINDS = (SCHEDULE, BACKUP, RETENTION, SCHEDULER, RESTORE, DESTINATION, COPY)
"""First parts of the streams that have two; the ledger's own has one."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events are wanted; None for any.

    `since` inclusive and `until` exclusive, on timestamp. `event_type`: exact, or a prefix that
    ends in a dot. `user_id`: the owner of the thing. `resource`: a stream, or the type or id of
    the thing. `text`: anywhere in details or error message, whatever the case; the trail has no
    details, so who reads the records looks for it. `up_to`: no position beyond this one.
    """

    since: datetime | None = None
    until: datetime | None = None
    event_type: str | None = None
    user_id: int | None = None
    failed_only: bool = False
    resource: str | None = None
    text: str | None = None
    up_to: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every event matches that is not beyond `up_to`."""
        return self == AuditFilter(up_to=self.up_to)

    def event_types(self) -> list[str] | None:
        """The types it stands for; None for any."""
        if self.event_type is None:
            return None
        if self.event_type.endswith("."):
            return [each for each in REGISTRY if each.startswith(self.event_type)]
        return [self.event_type]


def matching_positions(
    connection: Connection, wanted: AuditFilter, *, after: int = 0, limit: int | None = None
) -> list[int]:
    """Positions beyond `after` that match, in ledger order, at most `limit` from the start."""
    found: list[int] = []
    for statement in _statements(wanted):
        later = statement.where(trail.c.position > after).order_by(trail.c.position).limit(limit)
        found += connection.execute(later).scalars()
    return sorted(found)[:limit]


def newest_matching(connection: Connection, wanted: AuditFilter, limit: int) -> list[int]:
    """The last `limit` positions that match, in ledger order."""
    found: list[int] = []
    for statement in _statements(wanted):
        newest = statement.order_by(trail.c.position.desc()).limit(limit)
        found += connection.execute(newest).scalars()
    return sorted(found)[-limit:]


def newest_matching_resources(connection: Connection, event_type: str, limit: int) -> list[str]:
    """Whose the newest events of a type are, newest first."""
    statement = select(trail.c.resource_id).where(trail.c.event_type == event_type)
    statement = statement.order_by(trail.c.position.desc()).limit(limit)
    return list(connection.execute(statement).scalars())


def _statements(wanted: AuditFilter) -> list[Select[Any]]:
    """One for each type that is wanted: an index gives one type's positions in order, not several'.

    With several types in one statement all that match would be sorted, to show a hundred.
    """
    statement = select(trail.c.position).where(*_conditions(wanted))
    types = _types(wanted)
    if types is None:
        return [statement]
    return [statement.where(trail.c.event_type == each) for each in types]


def _conditions(wanted: AuditFilter) -> Sequence[Any]:
    conditions: list[Any] = []
    if wanted.since is not None:
        conditions.append(trail.c.timestamp >= wanted.since)
    if wanted.until is not None:
        conditions.append(trail.c.timestamp < wanted.until)
    if wanted.user_id is not None:
        conditions.append(trail.c.user_id == wanted.user_id)
    if wanted.resource is not None and _names_no_type(wanted.resource):
        conditions.append(trail.c.stream.in_(_streams(wanted.resource)))
    if wanted.up_to is not None:
        conditions.append(trail.c.position <= wanted.up_to)
    if wanted.failed_only:
        conditions.append(trail.c.success.is_(False))
    return conditions


def _types(wanted: AuditFilter) -> list[str] | None:
    """The types that can match, where type or resource name any; None for all."""
    types = wanted.event_types()
    if wanted.resource is None or _names_no_type(wanted.resource):
        return types
    of_resource = [name for name, kind in REGISTRY.items() if kind.resource_type == wanted.resource]
    return of_resource if types is None else [each for each in types if each in of_resource]


def _names_no_type(resource: str) -> bool:
    return all(kind.resource_type != resource for kind in REGISTRY.values())


def _streams(resource: str) -> list[str]:
    """The streams that a text may mean: one by its name, or by its last part, a thing's id."""
    return [resource, *(f"{kind}/{resource}" for kind in STREAM_KINDS)]
