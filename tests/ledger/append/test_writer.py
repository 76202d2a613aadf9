"""Write transactions on a connection that stays, and threads that share a commit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from sqlalchemy import delete, event, func, select, update

from ledger.append.ledger import Draft, Ledger, RecordedEvent
from ledger.append.prepared import driver_of
from ledger.append.tables import head, meta
from ledger.append.writer import MOST_TOGETHER, Writer
from ledger.errors import ConcurrencyConflict, LedgerError
from ledger.events.scheduling import SettingsCreated
from tests.conftest import MakeContext
from tests.ledger.appending_process import drafts_of
from tests.ledger.stored_tree import recomputed_tree, stored_tree
from tests.sample_events import draft

Appended = Future[list[RecordedEvent]]


def pool_of(ledger: Ledger) -> int:
    """Connections that are out of the pool."""
    pool = ledger.engine.pool
    return pool.checkedout()  # type: ignore[attr-defined, no-any-return]


def test_a_files_connection_stays_and_is_given_back_at_the_end(ledger: Ledger) -> None:
    writer = Writer(ledger.engine)
    before = pool_of(ledger)
    with writer.transaction() as first:
        pass
    with writer.transaction() as second:
        assert second is first
    assert pool_of(ledger) == before + 1
    writer.close()
    assert pool_of(ledger) == before


def test_what_fails_is_rolled_back_and_the_next_transaction_has_another_connection(
    ledger: Ledger,
) -> None:
    writer = Writer(ledger.engine)
    with suppress(RuntimeError), writer.transaction() as failed:
        failed.execute(delete(meta))
        raise RuntimeError("no")
    assert failed.closed
    with writer.transaction() as connection:
        assert connection.execute(select(func.count()).select_from(meta)).scalar_one() == 1
    writer.close()


@pytest.mark.both_databases
def test_a_transaction_is_committed(ledger: Ledger) -> None:
    writer = Writer(ledger.engine)
    with writer.transaction() as connection:
        connection.execute(update(head).values(recorded_at=7))
    with ledger.engine.connect() as connection:
        assert connection.execute(select(head.c.recorded_at)).scalar_one() == 7
    writer.close()


@contextmanager
def together(
    ledger: Ledger, context: MakeContext, appends: list[list[Draft]]
) -> Iterator[list[Appended]]:
    """Appends of so many threads, which come in this order while the head is locked."""
    queue = ledger._shared_commits._queue
    with ThreadPoolExecutor(len(appends)) as pool:
        with ledger.locked():
            started = []
            for number, drafts in enumerate(appends, 1):
                started.append(pool.submit(ledger.append, context(), *drafts))
                while len(queue) < number:
                    time.sleep(0.001)
        yield started


@contextmanager
def statements(ledger: Ledger) -> Iterator[list[str]]:
    """What the connection that stays is told."""
    found: list[str] = []
    with ledger.locked() as locked:
        driver = driver_of(locked.connection)
    driver.set_trace_callback(found.append)
    yield found
    driver.set_trace_callback(None)


def test_those_who_wait_share_one_commit_in_the_order_in_which_they_came(
    ledger: Ledger, context: MakeContext
) -> None:
    appends = [drafts_of(f"t{number}", number, 3) for number in range(8)]
    with statements(ledger) as told, together(ledger, context, appends) as futures:
        positions = [[each.position for each in future.result()] for future in futures]
    assert positions == [list(range(first, first + 3)) for first in range(1, 25, 3)]
    assert told.count("COMMIT") == 2  # that of the lock in `together`, and theirs
    assert stored_tree(ledger) == recomputed_tree(ledger)


@pytest.mark.both_databases
def test_one_that_is_refused_fails_nobody_else(ledger: Ledger, context: MakeContext) -> None:
    claim = draft(SettingsCreated, expected_version=0)
    others = drafts_of("a", 1, 2), drafts_of("b", 2, 2)
    with together(ledger, context, [others[0], [claim], [claim], others[1]]) as futures:
        outcomes = [future.exception() for future in futures]
    assert [type(each) for each in outcomes] == [
        type(None),
        type(None),
        ConcurrencyConflict,
        type(None),
    ]
    assert [each.position for each in futures[3].result()] == [4, 5]
    assert stored_tree(ledger) == recomputed_tree(ledger)


def test_more_than_fit_into_one_transaction_are_all_appended(
    ledger: Ledger, context: MakeContext
) -> None:
    appends = [drafts_of("many", number, 1) for number in range(MOST_TOGETHER + 2)]
    with statements(ledger) as told, together(ledger, context, appends) as futures:
        assert {future.result()[0].position for future in futures} == set(range(1, 67))
    assert told.count("COMMIT") == 3


def test_an_append_that_ends_the_transaction_fails_alone(
    ledger: Ledger, context: MakeContext
) -> None:
    """What the others had appended in it is gone with it, and is appended again."""
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER gone BEFORE INSERT ON ledger_events "
            "WHEN NEW.stream = 'scheduler/t1' BEGIN SELECT RAISE(ROLLBACK, 'gone'); END"
        )
    appends = [drafts_of(f"t{number}", number, 3) for number in range(4)]
    with together(ledger, context, appends) as futures:
        outcomes = [future.exception() for future in futures]
    assert [each is None for each in outcomes] == [True, False, True, True]
    assert [future.result()[0].position for future in (futures[0], *futures[2:])] == [1, 4, 7]
    assert stored_tree(ledger) == recomputed_tree(ledger)


def test_where_nothing_can_be_committed_nobody_is_told_that_it_was(
    ledger: Ledger, context: MakeContext
) -> None:
    with ledger.locked() as locked:
        driver = driver_of(locked.connection)
    pages = driver.execute("PRAGMA page_count").fetchone()[0]
    limit = f"PRAGMA max_page_count={pages + 2}"
    driver.execute(limit)
    event.listen(ledger.engine, "checkout", lambda raw, *_: raw.execute(limit))
    appends = [drafts_of(f"t{number}", number, 5) for number in range(4)]
    with together(ledger, context, appends) as futures:
        outcomes = [future.exception() for future in futures]
    refused = [each for each in outcomes if each is not None]
    assert refused
    assert all(isinstance(each, LedgerError) and "full" in str(each) for each in refused)
    assert ledger.log_recorder.head().size == 5 * (4 - len(refused))
    assert stored_tree(ledger) == recomputed_tree(ledger)
