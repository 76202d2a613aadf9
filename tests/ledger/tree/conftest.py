"""Trees that are made once for a module."""

from __future__ import annotations

import pytest

from ledger.tree.merkle import leaf_hash
from tests.ledger.slow_merkle import LARGE, SlowTree, StoredTree, records


@pytest.fixture(scope="module")
def slow() -> SlowTree:
    return SlowTree(records(LARGE))


@pytest.fixture(scope="module")
def stored() -> StoredTree:
    return StoredTree([leaf_hash(each) for each in records(LARGE)])
