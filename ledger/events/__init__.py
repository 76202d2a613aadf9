"""The event types, one class each, and their closed registry.

An event type that is not here does not exist: a record that names one is an error,
never skipped, and never looked up by an import path.
"""

from __future__ import annotations

from types import MappingProxyType

from ledger.events import catalog, housekeeping, restoring, retention, scheduling
from ledger.events.base import Details

_ALL: tuple[type[Details], ...] = (
    *scheduling.EVENTS,
    *retention.EVENTS,
    *catalog.EVENTS,
    *restoring.EVENTS,
    *housekeeping.EVENTS,
)

REGISTRY: MappingProxyType[str, type[Details]] = MappingProxyType(
    {details.event_type: details for details in _ALL}
)
"""Event type -> its class at the newest schema version."""

_AUDITED: tuple[type[Details], ...] = (
    scheduling.SchedulerStarted,
    scheduling.SchedulerStopped,
    scheduling.BackupCompleted,
    scheduling.BackupFailed,
    scheduling.SettingsCreated,
    scheduling.SettingsUpdated,
    scheduling.SettingsRejected,
    scheduling.CheckFailed,
    *retention.EVENTS,
)
AUDITED_TYPES: tuple[str, ...] = tuple(details.event_type for details in _AUDITED)
"""The fourteen audit types that existing readers filter on."""

__all__ = ["AUDITED_TYPES", "REGISTRY", "Details"]
