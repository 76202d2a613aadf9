"""Doing something for many at once, so that one's trouble is nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ledger.errors import LedgerBusy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Item = TypeVar("Item")
TOGETHER = 50
"""Runs that share an append: few enough that others need not wait long for the head."""


def batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """As many at a time as share an append."""
    for start in range(0, len(items), TOGETHER):
        yield items[start : start + TOGETHER]


def together_or_alone(
    items: Sequence[Item],
    act: Callable[[Sequence[Item]], None],
    on_failure: Callable[[Item, Exception], None],
) -> None:
    """Act on all; where that fails, on each alone. `on_failure` is told of those that fail then.

    Raises:
        LedgerBusy: nothing can be appended now, for whomever; a failure could not be either.
    """
    if not items:
        return
    try:
        act(items)
    except LedgerBusy:
        raise
    except Exception as error:  # noqa: BLE001  (whoever calls records it)
        if len(items) == 1:
            on_failure(items[0], error)
            return
        for each in items:
            together_or_alone([each], act, on_failure)
