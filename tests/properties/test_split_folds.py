"""fold(all) = fold(prefix), then fold(rest): wherever the line is drawn, and however often.

So it does not matter in which batches a read model is brought along, where it was interrupted,
or from which snapshot a decision's state is taken up again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.append.ledger import Ledger
from ledger.clock import ManualClock
from ledger.events.restoring import (
    RestoreCompleted,
    RestoreFailed,
    RestoreInterrupted,
    RestoreStarted,
)
from ledger.records.record import Event
from projections.folds.backup import evolve_backup
from projections.folds.restore import evolve_restore
from projections.folds.run import evolve_run, run_of
from projections.folds.schedule import evolve_schedule
from projections.past.as_of import as_of
from projections.projector.read_models import ReadModels
from tests.conftest import START, open_ledger_at
from tests.projections.conftest import Rows, folded_in_memory, rows_of
from tests.projections.stories import Step, drafts_of, steps
from tests.properties.test_commands_state_machine import Commands
from tests.sample_events import CONTEXT, draft

Evolve = Callable[[Any, Event], Any]
RESTORES = (RestoreStarted, RestoreCompleted, RestoreFailed, RestoreInterrupted)


@contextmanager
def ledger_of(story: Sequence[Step]) -> Iterator[Ledger]:
    """A ledger of its own, in which a story has happened, and then a restore."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = open_ledger_at(Path(folder) / "ledger.sqlite", ManualClock(START))
        ended = draft(RESTORES[1 + len(story) % 3])
        ledger.append(CONTEXT, *drafts_of(story), draft(RestoreStarted), ended)
        yield ledger
        ledger.close()


def folded_in_parts(ledger: Ledger, ends: Sequence[int]) -> Rows:
    """What the rows are after the read models were brought along part by part."""
    models = ReadModels.in_memory(ledger)
    for end in ends:
        assert models.catch_up(end)
    assert models.catch_up()
    rows = rows_of(models)
    models.close()
    return rows


def require_any_split(ledger: Ledger) -> None:
    """Each read model is the same wherever its fold is interrupted once."""
    whole = folded_in_memory(ledger)
    for position in range(1, ledger.log_recorder.head().size):
        assert folded_in_parts(ledger, [position]) == whole, position


@settings(max_examples=25, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps)
def test_read_models_are_the_same_at_every_split(story: list[Step]) -> None:
    """Every read model, over stories in any order."""
    with ledger_of(story) as ledger:
        require_any_split(ledger)


@settings(max_examples=35, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps, st.sets(st.integers(1, 44)))
def test_read_models_are_the_same_in_batches_of_any_size(story: list[Step], ends: set[int]) -> None:
    """Parts of any number and size; one event at a time is among them."""
    with ledger_of(story) as ledger:
        whole = folded_in_memory(ledger)
        size = ledger.log_recorder.head().size
        assert folded_in_parts(ledger, [each for each in sorted(ends) if each <= size]) == whole
        assert folded_in_parts(ledger, range(1, size + 1)) == whole


@settings(max_examples=35, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps)
def test_the_past_is_the_fold_of_the_prefix(story: list[Step]) -> None:
    """Time travel, which leaves out what it can, agrees at every position."""
    with ledger_of(story) as ledger:
        models = ReadModels.in_memory(ledger)
        for position in range(1, ledger.log_recorder.head().size + 1):
            assert models.catch_up(position)
            expected, found = rows_of(models), as_of(ledger, position)
            schedules = sorted(found.schedules, key=lambda each: each.id)
            backups = sorted(found.backups, key=lambda each: each.backup_id)
            assert [asdict(each) for each in schedules] == expected["backup_settings"]
            assert [asdict(each) for each in backups] == expected["backup_catalog"]
        models.close()


def require_any_split_of_states(events: Sequence[Event], evolve: Evolve) -> Any:
    """A state is the same wherever its fold is taken up again; what was kept stays as it is."""
    whole = reduce(evolve, events, None)
    for place in range(len(events) + 1):
        prefix = reduce(evolve, events[:place], None)
        kept = deepcopy(prefix)
        assert reduce(evolve, events[place:], deepcopy(prefix)) == whole, place
        assert prefix == kept
    return whole


@settings(max_examples=100, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps)
def test_decision_states_are_the_same_at_every_split(story: list[Step]) -> None:
    """Those of schedules, backups, restores and runs; the first three as a command loads them."""
    by_kind: dict[str, Evolve] = {
        "schedule": evolve_schedule,
        "backup": evolve_backup,
        "restore": evolve_restore,
    }
    with ledger_of(story) as ledger:
        events = [each.event for each in ledger.recorded()]
        for stream in dict.fromkeys(event.stream for event in events):
            evolve = by_kind.get(stream.partition("/")[0])
            if evolve is not None:
                own = [event for event in events if event.stream == stream]
                assert ledger.fold(stream, evolve) == require_any_split_of_states(own, evolve)
        for run in {run_of(event) for event in events} - {None}:
            require_any_split_of_states(
                [each for each in events if run_of(each) == run], evolve_run
            )


class SplitCommands(Commands):
    """The same sequences of commands; in the end, every split of what they recorded."""

    def teardown(self) -> None:
        require_any_split(self.site.ledger)
        super().teardown()


SplitCommands.TestCase.settings = settings(
    max_examples=4,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestSplitCommands = SplitCommands.TestCase
