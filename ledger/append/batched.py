"""Many at a time, in order: as much as one statement or one transaction takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Item = TypeVar("Item")
LOOKUP = 500
"""Values looked up in one statement, well under SQLite's limit on parameters."""


def batched(items: Sequence[Item], size: int = LOOKUP) -> Iterator[Sequence[Item]]:
    """Slices of at most `size`; as `itertools.batched`, which comes with Python 3.12."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
