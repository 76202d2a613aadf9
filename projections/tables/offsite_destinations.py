"""Every destination of off-site copies ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.vocabulary import destination_stream
from projections.folds.offsite_destination import Destination, evolve_destination
from projections.tables import columns as tables
from projections.tables.projection import KeyedProjection

if TYPE_CHECKING:
    from ledger.records.record import Event


class OffsiteDestinations(KeyedProjection[Destination]):
    name = "offsite_destinations"
    version = 2
    table = tables.offsite_destinations
    key = "repository_id"
    state_class = Destination

    def key_of(self, event: Event) -> str | None:
        return event.resource_id if event.stream.startswith("destination/") else None

    def streams_of(self, state: Destination) -> tuple[str]:
        return (destination_stream(state.repository_id),)

    def evolve(self, state: Destination | None, event: Event) -> Destination | None:
        return evolve_destination(state, event)
