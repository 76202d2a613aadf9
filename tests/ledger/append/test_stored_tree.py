"""Proofs read from the tables: right for every index, and in a few reads."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, event

from ledger.append.database import database_url, open_engine
from ledger.append.ledger import Ledger
from ledger.append.stored_tree import TreeReader
from ledger.clock import ManualClock
from ledger.tree.merkle import EMPTY_ROOT
from ledger.tree.proofs import (
    ProofError,
    consistency_proof,
    inclusion_proof,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from tests.ledger.slow_merkle import SlowTree
from tests.ledger.tampering import SIZE, Attacker, append_some


@pytest.fixture
def connection(attacker: Attacker) -> Iterator[Connection]:
    engine = open_engine(database_url(f"sqlite:///{attacker.path}"))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.mark.slow
def test_every_record_is_proved_from_the_tables(connection: Connection) -> None:
    """Each of 600 leaves leads up to the root."""
    reader = TreeReader(connection)
    root = root_at(SIZE, reader)
    for index, leaf in enumerate(reader.leaf_hashes(0, SIZE)):
        verify_inclusion(leaf, index, SIZE, inclusion_proof(index, SIZE, reader), root)


def test_roots_and_consistency_are_those_of_the_letter(ledger: Ledger, clock: ManualClock) -> None:
    """Of random older sizes, against the slow literal tree."""
    append_some(ledger, clock, 530)
    slow = SlowTree([row.record for row in ledger.records()])
    with ledger.engine.connect() as connection:
        reader = TreeReader(connection)
        assert root_at(0, reader) == EMPTY_ROOT
        for size in [1, 2, 255, 256, 257, 512, 529, *random.Random(6).sample(range(1, 530), 20)]:
            assert root_at(size, reader) == slow.mth(0, size)
            proof = consistency_proof(size, 530, reader)
            verify_consistency(size, 530, slow.mth(0, size), slow.mth(0, 530), proof)


def test_a_proof_costs_a_few_reads_by_key(connection: Connection) -> None:
    """Not one a record: nodes by their place, and leaves of two tiles at most."""
    statements: list[str] = []
    leaves: list[int] = []

    class Counting(TreeReader):
        def leaf_hashes(self, start: int, stop: int) -> list[bytes]:
            leaves.append(stop - start)
            return list(super().leaf_hashes(start, stop))

    @event.listens_for(connection, "before_cursor_execute")
    def count(_1: object, _2: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    inclusion_proof(17, SIZE, Counting(connection))
    assert len(statements) <= SIZE.bit_length()
    assert sum(leaves) <= 2 * 256


def test_a_node_that_is_gone_is_an_error_that_names_it(
    attacker: Attacker, connection: Connection
) -> None:
    """No proof is made up from something else."""
    attacker.run("DELETE FROM ledger_nodes WHERE height = 8 AND number = 1")
    with pytest.raises(ProofError, match=r"\(8, 1\)"):
        inclusion_proof(0, SIZE, TreeReader(connection))


def test_leaves_that_are_gone_are_an_error(attacker: Attacker, connection: Connection) -> None:
    """The same for the records' own hashes."""
    attacker.run("DELETE FROM ledger_events WHERE position = 5")
    with pytest.raises(ProofError, match="not all in the store"):
        inclusion_proof(0, SIZE, TreeReader(connection))
