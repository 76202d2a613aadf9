"""What a restore's events add up to: open until its outcome is known."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.events.restoring import (
    RestoreCompleted,
    RestoreFailed,
    RestoreInterrupted,
    RestoreStarted,
)
from projections.folds.restore import evolve_restore
from tests.projections.events_of_streams import folded
from tests.sample_events import RESTORE, draft, event, uuid_of

STARTED = draft(RestoreStarted, event_id=uuid_of(60), owner=7)


def test_a_started_restore_is_open() -> None:
    """Recovery finds in it what it needs to judge."""
    restore = folded(evolve_restore, STARTED)
    assert (restore.restore_id, restore.event_id, restore.user_id) == (RESTORE, uuid_of(60), 7)
    assert restore.started.to_facts() == STARTED.details.to_facts()
    start = event(STARTED)
    assert (restore.correlation_id, restore.started_at) == (start.correlation_id, start.timestamp)
    assert restore.is_open is True


@pytest.mark.parametrize("kind", [RestoreCompleted, RestoreFailed, RestoreInterrupted])
def test_every_outcome_closes_a_restore(kind: Any) -> None:
    """Also one that nobody can tell."""
    assert folded(evolve_restore, STARTED, draft(kind)).is_open is False


def test_an_outcome_without_a_start_is_no_restore() -> None:
    """There is nothing to judge."""
    assert folded(evolve_restore, draft(RestoreFailed)) is None
