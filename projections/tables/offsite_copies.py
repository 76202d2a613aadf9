"""Every off-site copy ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.vocabulary import copy_stream
from projections.folds.offsite_copy import OffsiteCopy, evolve_copy
from projections.tables import columns as tables
from projections.tables.projection import KeyedProjection

if TYPE_CHECKING:
    from ledger.records.record import Event


class OffsiteCopies(KeyedProjection[OffsiteCopy]):
    name = "offsite_copies"
    version = 2
    table = tables.offsite_copies
    key = "copy_id"
    state_class = OffsiteCopy

    def key_of(self, event: Event) -> str | None:
        return event.resource_id if event.stream.startswith("copy/") else None

    def streams_of(self, state: OffsiteCopy) -> tuple[str]:
        return (copy_stream(state.copy_id),)

    def evolve(self, state: OffsiteCopy | None, event: Event) -> OffsiteCopy | None:
        return evolve_copy(state, event)
