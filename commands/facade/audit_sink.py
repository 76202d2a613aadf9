"""Telling an application's own audit logger what was appended, in the form it knows.

It hears after the append, of the fourteen types that it always heard of; its failure is
logged and harms nothing. The ledger is the audit log; this is a courtesy.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from ledger.events import AUDITED_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.append.ledger import RecordedEvent

logger = logging.getLogger("backup_ledger.audit_sink")
_AUDITED = frozenset(AUDITED_TYPES)
RETENTION = "backup_retention."


class AuditLogger(Protocol):
    """What an application's audit logger offers."""

    def log(
        self,
        *,
        event_type: str,
        user_id: str | None,
        resource_type: str,
        resource_id: str,
        action: str,
        success: bool,
        details: dict[str, Any],
        error_message: str | None,
    ) -> Any:
        """Record one audit event."""
        ...


class AuditSinks:
    """The loggers of a site: one for retention's events, one for the scheduler's."""

    def __init__(self) -> None:
        self.for_scheduler: AuditLogger | None = None
        self.for_retention: AuditLogger | None = None

    def tell(self, recorded: Sequence[RecordedEvent]) -> None:
        """Pass on what was appended."""
        for each in recorded:
            event = each.event
            if event.event_type not in _AUDITED:
                continue
            sink = self.for_scheduler
            if event.event_type.startswith(RETENTION):
                sink = self.for_retention or self.for_scheduler
            if sink is not None:
                _tell(sink, each)


def _tell(sink: AuditLogger, recorded: RecordedEvent) -> None:
    event = recorded.event
    try:
        sink.log(
            event_type=event.event_type,
            user_id=event.user_id,
            resource_type=event.resource_type,
            resource_id=event.resource_id,
            action=event.action,
            success=event.success,
            details=event.details.to_facts(),
            error_message=event.error_message,
        )
    except Exception:
        logger.exception("the audit logger failed at position %d", recorded.position)
