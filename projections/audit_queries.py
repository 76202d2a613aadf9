"""Questions to the audit trail: which positions match a filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select

from ledger.events import REGISTRY
from projections.tables import audit_trail as trail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection


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
    statement = select(trail.c.position).where(trail.c.position > after, *_conditions(wanted))
    return list(connection.execute(statement.order_by(trail.c.position).limit(limit)).scalars())


def newest_matching(connection: Connection, wanted: AuditFilter, limit: int) -> list[int]:
    """The last `limit` positions that match, in ledger order."""
    statement = select(trail.c.position).where(*_conditions(wanted))
    statement = statement.order_by(trail.c.position.desc()).limit(limit)
    return sorted(connection.execute(statement).scalars())


def _conditions(wanted: AuditFilter) -> Sequence[Any]:
    conditions: list[Any] = []
    if wanted.since is not None:
        conditions.append(trail.c.timestamp >= wanted.since)
    if wanted.until is not None:
        conditions.append(trail.c.timestamp < wanted.until)
    types = wanted.event_types()
    if types is not None:
        conditions.append(trail.c.event_type.in_(types))
    if wanted.user_id is not None:
        conditions.append(trail.c.user_id == wanted.user_id)
    if wanted.resource is not None:
        names = (trail.c.stream, trail.c.resource_type, trail.c.resource_id)
        conditions.append(or_(*(each == wanted.resource for each in names)))
    if wanted.up_to is not None:
        conditions.append(trail.c.position <= wanted.up_to)
    if wanted.failed_only:
        conditions.append(trail.c.success.is_(False))
    return conditions
