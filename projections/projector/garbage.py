"""Garbage collection put off while a batch of events is in memory.

A batch is some ten thousand objects without a cycle among them. Python's collector walks them
again and again while they are made, which takes longer than making them; what is left of them
when the batch is done goes by reference counting.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def collected_later() -> Iterator[None]:
    """Also a decorator. Whoever had switched the collector off finds it off afterwards."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
