"""What a run adds up to, by example."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.events.catalog import BackupCreated
from ledger.events.scheduling import (
    BackupAbandoned,
    BackupCompleted,
    BackupFailed,
    BackupStarted,
    SettingsCreated,
)
from projections.folds.run import evolve_run, run_of
from tests.projections.events_of_streams import at, folded
from tests.sample_events import BACKUP, draft, event, uuid_of

START = datetime(2025, 1, 13, 3, 0, 1, tzinfo=UTC)
END = START + timedelta(seconds=2.5)
RUN = uuid_of(50)
CLAIM = at(START, draft(BackupStarted, event_id=RUN, attempt=2, slot=START))


def test_a_claim_is_a_running_run() -> None:
    """It is known by the claim's event id."""
    run = folded(evolve_run, CLAIM)
    assert (run.run_id, run.user_id, run.slot, run.attempt) == (RUN, 1, START, 2)
    assert (run.outcome, run.started_at, run.ended_at) == ("running", START, None)
    assert (run.backup_id, run.duration_seconds, run.error_type) == (None, None, None)


def test_a_run_that_has_its_backup_still_runs() -> None:
    """Retention comes after it."""
    run = folded(evolve_run, CLAIM, at(END, draft(BackupCreated, run_id=RUN)))
    assert (run.outcome, run.backup_id, run.ended_at) == ("running", BACKUP, None)


def test_a_completed_run_has_a_backup_and_a_duration() -> None:
    """Measured from the claim to the end."""
    run = folded(evolve_run, CLAIM, at(END, draft(BackupCompleted, run_id=RUN)))
    assert (run.outcome, run.backup_id) == ("completed", BACKUP)
    assert (run.ended_at, run.duration_seconds) == (END, 2.5)
    assert (run.error_type, run.error_message) == (None, None)


@pytest.mark.parametrize(
    ("kind", "outcome", "error_type"),
    [(BackupFailed, "failed", "OSError"), (BackupAbandoned, "abandoned", "Abandoned")],
)
def test_a_run_that_did_not_work_says_why(kind: Any, outcome: str, error_type: str) -> None:
    """Also where nobody was left to say it."""
    run = folded(evolve_run, CLAIM, at(END, draft(kind, run_id=RUN)))
    assert (run.outcome, run.ended_at, run.duration_seconds) == (outcome, END, 2.5)
    assert (run.error_type, run.error_message) == (error_type, "it did not work")


def test_a_backup_without_a_claim_is_no_run() -> None:
    """Somebody made it by hand."""
    by_hand = event(draft(BackupCreated, run_id=None))
    assert run_of(by_hand) is None
    assert evolve_run(None, event(draft(BackupCreated, run_id=RUN))) is None


@pytest.mark.parametrize("kind", [BackupCreated, BackupCompleted, BackupFailed, BackupAbandoned])
def test_events_of_a_run_know_it(kind: Any) -> None:
    """And the claim is it."""
    assert run_of(event(draft(kind, run_id=RUN))) == RUN
    assert run_of(event(CLAIM[1])) == RUN


def test_other_events_belong_to_no_run() -> None:
    """Settings are not run."""
    assert run_of(event(draft(SettingsCreated))) is None
