"""Leases and names made again from the ledger are those that were kept all along."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from ledger.append import leases_and_names as operational
from ledger.append.ledger import Draft, Ledger
from ledger.append.tables import leases, names
from ledger.errors import NameTaken
from ledger.events.scheduling import BackupFailed
from tests.conftest import MakeContext, OpenLedger
from tests.ledger.append.test_leases_and_names import OWNER, RUN, claim, created, deleted
from tests.sample_events import CONTEXT, NAME, STORE, draft, uuid_of


def working_tables(ledger: Ledger) -> tuple[set[Any], set[Any]]:
    """All names, and all leases without their times."""
    with ledger.engine.connect() as connection:
        found = set(connection.execute(select(names)).all())
        held = set(connection.execute(select(leases.c.run_id, leases.c.owner)).all())
    return found, held


steps = st.lists(
    st.lists(
        st.one_of(
            st.builds(lambda number: ("claim", number), st.integers(0, 3)),
            st.builds(lambda number: ("end", number), st.integers(0, 3)),
            st.builds(lambda number: ("create", number), st.integers(0, 5)),
            st.builds(lambda number: ("delete", number), st.integers(0, 5)),
        ),
        min_size=1,
        max_size=4,
    ),
    max_size=12,
)


def draft_of(step: tuple[str, int]) -> Draft:
    kind, number = step
    if kind == "claim":
        return claim(uuid_of(50 + number))
    if kind == "end":
        return draft(BackupFailed, run_id=uuid_of(50 + number))
    filename = f"{number % 3}.db"
    return created(number, filename) if kind == "create" else deleted(number, filename)


@pytest.mark.slow
@given(steps)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rebuilt_tables_are_the_live_ones(
    open_ledger: OpenLedger, tmp_path_factory: pytest.TempPathFactory, steps: Any
) -> None:
    """Whatever was appended, in whatever batches; rebuilt leases count as expired."""
    ledger = open_ledger(tmp_path_factory.mktemp("rebuilt") / "ledger.sqlite")
    claimed: set[tuple[str, int]] = set()
    for batch in steps:
        fresh = [step for step in dict.fromkeys(batch) if step not in claimed]
        claimed |= {step for step in fresh if step[0] == "claim"}
        try:
            ledger.append(CONTEXT, *map(draft_of, fresh))
        except NameTaken:
            claimed -= set(fresh)
    live = working_tables(ledger)
    with ledger.locked() as locked:
        operational.rebuild(locked.connection, (each.event for each in ledger.recorded()))
    assert working_tables(ledger) == live
    with ledger.engine.connect() as connection:
        for lease in operational.all_leases(connection):
            assert operational.runs_still_held(connection, lease.owner, 0.0) == set()


def test_tables_that_were_emptied_come_back(ledger: Ledger, context: MakeContext) -> None:
    """They hold nothing that the ledger does not say."""
    ledger.append(context(), claim(), created(1), created(2, "two.db"), deleted(2, "two.db"))
    live = working_tables(ledger)
    with ledger.locked() as locked:
        locked.connection.execute(delete(names))
        locked.connection.execute(delete(leases))
    with ledger.locked() as locked:
        operational.rebuild(locked.connection, (each.event for each in ledger.recorded()))
    assert working_tables(ledger) == live
    assert live == ({(STORE, NAME, uuid_of(1))}, {(RUN, OWNER)})
