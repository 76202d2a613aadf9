"""Batches: all of it, in order, never more at a time than was said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.append.batched import batched


@given(st.lists(st.integers()), st.integers(1, 20))
def test_batches_are_the_whole_in_order(items: list[int], size: int) -> None:
    """Only the last one may be smaller, and none is empty."""
    batches = list(batched(items, size))
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(batches)


def test_nothing_has_no_batches() -> None:
    assert list(batched([])) == []


def test_a_size_below_one_is_refused() -> None:
    """Rather than going on without an end."""
    with pytest.raises(ValueError, match="range"):
        list(batched([1], 0))
