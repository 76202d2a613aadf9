"""Doing something for many runs at once, so that one's trouble is nobody else's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from ledger.append.batched import batched
from ledger.errors import LedgerBusy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")
TOGETHER = 50
"""Runs that share an append: few enough that others need not wait long for the head."""


def batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """As many at a time as share an append."""
    return batched(items, TOGETHER)


@dataclass(slots=True)
class Batch(Generic[Item, Result]):
    """What came of acting on many: a result of each time, and what failed when tried alone."""

    results: list[Result] = field(default_factory=list)
    failures: list[tuple[Item, Exception]] = field(default_factory=list)


def batch_with_fallback(
    items: Sequence[Item], act: Callable[[Sequence[Item]], Result]
) -> Batch[Item, Result]:
    """Act on all; where that fails, on each alone.

    Raises:
        LedgerBusy: nothing can be appended now, for whomever; a failure could not be either.
    """
    batch: Batch[Item, Result] = Batch()
    if not items:
        return batch
    try:
        batch.results.append(act(items))
    except LedgerBusy:
        raise
    except Exception as error:  # noqa: BLE001  (whoever calls records it)
        if len(items) == 1:
            batch.failures.append((items[0], error))
            return batch
        for item in items:
            alone = batch_with_fallback([item], act)
            batch.results += alone.results
            batch.failures += alone.failures
    return batch
