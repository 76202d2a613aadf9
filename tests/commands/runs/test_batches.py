"""Acting on many at once: one's trouble is nobody else's."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from commands.runs.batches import TOGETHER, batch_with_fallback, batches
from ledger.errors import LedgerBusy


class Acting:
    """Adds numbers up, and cannot bear some of them."""

    def __init__(self, *bad: int) -> None:
        self.bad = bad
        self.asked: list[list[int]] = []

    def __call__(self, numbers: Sequence[int]) -> int:
        self.asked.append(list(numbers))
        for number in numbers:
            if number in self.bad:
                raise ValueError(f"{number} is bad")
        return sum(numbers)


def test_all_are_acted_on_together_where_that_works() -> None:
    """One call, one result."""
    act = Acting()
    batch = batch_with_fallback([1, 2, 3], act)
    assert (batch.results, batch.failures, act.asked) == ([6], [], [[1, 2, 3]])


def test_where_one_fails_each_is_tried_alone() -> None:
    """The others succeed, and who failed is named with its own error."""
    act = Acting(2)
    batch = batch_with_fallback([1, 2, 3], act)
    assert batch.results == [1, 3]
    assert [(item, str(error)) for item, error in batch.failures] == [(2, "2 is bad")]
    assert act.asked == [[1, 2, 3], [1], [2], [3]]


def test_one_alone_is_not_tried_twice() -> None:
    """What fails once alone would fail again."""
    act = Acting(2)
    assert len(batch_with_fallback([2], act).failures) == 1
    assert act.asked == [[2]]


def test_nothing_is_not_acted_on() -> None:
    act = Acting()
    assert batch_with_fallback([], act).results == act.asked == []


def test_a_busy_ledger_is_everybodys_trouble() -> None:
    """No failure could be recorded either, so nobody is tried alone."""

    def act(_numbers: Sequence[int]) -> None:
        raise LedgerBusy("the ledger is locked")

    with pytest.raises(LedgerBusy):
        batch_with_fallback([1, 2], act)


def test_batches_share_an_append() -> None:
    """As many at a time as others can wait for."""
    assert [len(batch) for batch in batches(range(TOGETHER * 2 + 1))] == [TOGETHER, TOGETHER, 1]
