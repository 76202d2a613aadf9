"""Every backup ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.vocabulary import backup_stream
from projections.folds.backup import Backup, evolve_backup
from projections.tables import columns as tables
from projections.tables.projection import KeyedProjection

if TYPE_CHECKING:
    from ledger.records.record import Event


class BackupCatalog(KeyedProjection[Backup]):
    name = "backup_catalog"
    version = 2
    table = tables.backup_catalog
    key = "backup_id"
    state_class = Backup

    def key_of(self, event: Event) -> str | None:
        return event.resource_id if event.stream.startswith("backup/") else None

    def streams_of(self, state: Backup) -> tuple[str]:
        return (backup_stream(state.backup_id),)

    def evolve(self, state: Backup | None, event: Event) -> Backup | None:
        return evolve_backup(state, event)
