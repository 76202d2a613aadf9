"""Which read models there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections.errors import UnknownProjection
from projections.tables.audit_trail import AuditTrail
from projections.tables.backup_catalog import BackupCatalog
from projections.tables.backup_runs import BackupRuns
from projections.tables.backup_settings import BackupSettings
from projections.tables.offsite_copies import OffsiteCopies
from projections.tables.offsite_destinations import OffsiteDestinations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projections.tables.projection import Projection


def all_projections() -> tuple[Projection, ...]:
    return (
        BackupSettings(),
        BackupCatalog(),
        BackupRuns(),
        OffsiteDestinations(),
        OffsiteCopies(),
        AuditTrail(),
    )


def projections_named(
    name: str | None, among: Sequence[Projection] | None = None
) -> tuple[Projection, ...]:
    """One projection, or all of them for None.

    Raises:
        UnknownProjection: there is none of this name.
    """
    every = among or all_projections()
    found = tuple(each for each in every if name in (None, each.name))
    if not found:
        known = ", ".join(each.name for each in every)
        raise UnknownProjection(f"no read model is called {name!r}; there are {known}")
    return found
