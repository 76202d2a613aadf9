"""Folding in batches, and healing: rows always come to be those of the whole ledger."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.append.ledger import Ledger
from projections.projector import projector
from projections.projector.projector import read_progress
from projections.projector.read_models import ReadModels
from tests.conftest import OpenLedger
from tests.projections.conftest import OpenReadModels, folded_in_memory, rows_of, taken_heals
from tests.projections.stories import Step, drafts_of, random_steps, steps, tell
from tests.sample_events import CONTEXT

pytestmark = pytest.mark.both_databases


def positions(models: ReadModels) -> set[int]:
    with models.engine.connect() as connection:
        return {each.position for each in read_progress(connection).values()}


@pytest.mark.slow
def test_folding_a_prefix_and_then_the_rest_is_folding_all(ledger: Ledger) -> None:
    """At each fourth place where a batch may end, with copies; `test_split_folds` takes all."""
    end = tell(ledger)
    expected = folded_in_memory(ledger)
    assert all(expected.values())
    for split in range(0, end + 1, 4):
        models = ReadModels.in_memory(ledger)
        assert models.catch_up(split)
        assert positions(models) == {split}
        assert models.catch_up()
        assert rows_of(models) == expected
        models.close()


@pytest.mark.slow
@given(steps, st.integers(1, 7))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_do_not_depend_on_the_size_of_batches(
    open_ledger: OpenLedger,
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[Step],
    batch: int,
) -> None:
    """Whatever happened: no story makes a fold fail, or fold otherwise in small batches."""
    ledger = open_ledger(tmp_path_factory.mktemp("story") / "ledger.sqlite")
    ledger.append(CONTEXT, *drafts_of(steps))
    expected = folded_in_memory(ledger)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projector, "BATCH_EVENTS", batch)
        assert folded_in_memory(ledger) == expected


def test_folding_stops_where_it_is_told_to(ledger: Ledger) -> None:
    """For as-of; before the first event there is nothing."""
    tell(ledger)
    assert not any(folded_in_memory(ledger, 0).values())
    assert [row["position"] for row in folded_in_memory(ledger, 3)["audit_trail"]] == [1, 2, 3]


@pytest.mark.slow
def test_ids_of_settings_are_the_order_of_their_creation(ledger: Ledger) -> None:
    """The same after every rebuild."""
    end = tell(ledger)
    ids = [(row["id"], row["user_id"]) for row in folded_in_memory(ledger)["backup_settings"]]
    assert [number for number, _user in ids] == [1, 2, 3]
    for split in range(0, end, 7):
        models = ReadModels.in_memory(ledger)
        models.catch_up(split)
        models.catch_up()
        found = [(row["id"], row["user_id"]) for row in rows_of(models)["backup_settings"]]
        assert found == ids
        models.close()


def test_read_models_follow_the_ledger(ledger: Ledger, models: ReadModels) -> None:
    """An empty ledger first, then each append; nothing needs healing."""
    assert models.catch_up()
    for draft in drafts_of(random_steps(2, 40)):
        ledger.append(CONTEXT, draft)
        assert models.catch_up()
        assert positions(models) == {ledger.log_recorder.head().size}
    assert rows_of(models) == folded_in_memory(ledger)
    assert taken_heals(models) == []


def test_two_processes_may_keep_the_same_rows(
    ledger: Ledger, models: ReadModels, open_models: OpenReadModels
) -> None:
    """Each goes on where the other stopped; no row is folded twice."""
    other = open_models()
    for number, draft in enumerate(drafts_of(random_steps(3, 30))):
        ledger.append(CONTEXT, draft)
        assert (models if number % 3 else other).catch_up()
    assert models.catch_up()
    assert other.catch_up()
    assert rows_of(other) == rows_of(models) == folded_in_memory(ledger)
    assert taken_heals(models) + taken_heals(other) == []
