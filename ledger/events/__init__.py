"""What can happen: one class an event, and the closed registry of all of them.

An event type that is not here does not exist: a record that names one is an error,
never skipped, and never looked up by an import path.
"""

from ledger.events import (
    catalog,
    housekeeping,
    offsite,
    offsite_deletion,
    restoring,
    retention,
    scheduling,
)
from ledger.events.base import REGISTRY, Details

AUDITED_TYPES: tuple[str, ...] = tuple(
    event_type for event_type, details in REGISTRY.items() if details.is_audited
)
"""The fourteen audit types that existing readers filter on."""

__all__ = [
    "AUDITED_TYPES",
    "REGISTRY",
    "Details",
    "catalog",
    "housekeeping",
    "offsite",
    "offsite_deletion",
    "restoring",
    "retention",
    "scheduling",
]
