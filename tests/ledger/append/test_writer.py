"""Write transactions on a connection that stays."""

from __future__ import annotations

from contextlib import suppress

import pytest
from sqlalchemy import delete, func, select, update

from ledger.append.ledger import Ledger
from ledger.append.tables import head, meta
from ledger.append.writer import Writer


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
