"""What a run's events add up to: one row of `backup_runs`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.events.catalog import BackupCreated
from ledger.events.scheduling import (
    BackupAbandoned,
    BackupCompleted,
    BackupFailed,
    BackupStarted,
)
from ledger.records.record import Event
from ledger.vocabulary import RunOutcome


@dataclass(slots=True)
class Run:
    """One claim and how it ended. Times are aware UTC."""

    run_id: str
    user_id: int
    slot: datetime
    attempt: int
    started_at: datetime
    outcome: str = RunOutcome.RUNNING
    backup_id: str | None = None
    ended_at: datetime | None = None
    duration_seconds: float | None = None
    error_type: str | None = None
    error_message: str | None = None
    position: int = 0


def run_of(event: Event) -> str | None:
    """The run that an event belongs to."""
    details = event.details
    if isinstance(details, BackupStarted):
        return event.event_id
    if isinstance(details, BackupCreated | BackupCompleted | BackupFailed | BackupAbandoned):
        return details.run_id
    return None


def evolve_run(run: Run | None, event: Event) -> Run | None:
    """Fold one event of a run."""
    details = event.details
    if isinstance(details, BackupStarted):
        return Run(
            run_id=event.event_id,
            user_id=int(event.resource_id),
            slot=details.slot,
            attempt=details.attempt,
            started_at=event.timestamp,
        )
    if run is None:
        return None
    if isinstance(details, BackupCreated):
        run.backup_id = event.resource_id
        return run
    run.ended_at = event.timestamp
    run.duration_seconds = (event.timestamp - run.started_at).total_seconds()
    if isinstance(details, BackupCompleted):
        run.outcome = RunOutcome.COMPLETED
        run.backup_id = details.backup_id
    else:
        failed = isinstance(details, BackupFailed)
        run.outcome = RunOutcome.FAILED if failed else RunOutcome.ABANDONED
        run.error_type = details.error_type if isinstance(details, BackupFailed) else "Abandoned"
        run.error_message = event.error_message
    return run
