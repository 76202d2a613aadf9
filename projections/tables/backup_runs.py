"""One row a claim: when it ran, how long, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.vocabulary import backup_stream, schedule_stream
from projections.folds.run import Run, evolve_run, run_of
from projections.tables import columns as tables
from projections.tables.projection import KeyedProjection

if TYPE_CHECKING:
    from ledger.records.record import Event


class BackupRuns(KeyedProjection[Run]):
    name = "backup_runs"
    version = 1
    table = tables.backup_runs
    key = "run_id"
    state_class = Run

    def key_of(self, event: Event) -> str | None:
        return run_of(event)

    def streams_of(self, state: Run) -> tuple[str, ...]:
        own = schedule_stream(state.user_id)
        return (own,) if state.backup_id is None else (own, backup_stream(state.backup_id))

    def evolve(self, state: Run | None, event: Event) -> Run | None:
        return evolve_run(state, event)
