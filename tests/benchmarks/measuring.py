"""Honest measuring: both sides alternate, several rounds, the best of each counts."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `ratio` above `target` is better, always."""

    name: str
    value: float
    unit: str
    against: str
    ratio: float
    target: float
    met: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    events: int
    memory_events: int
    settings: int
    batches: int
    users: int
    database_mb: int
    rounds: int


FULL = Sizes(1_000_000, 10_000_000, 1_000_000, 50, 1_000, 1_024, 3)
QUICK = Sizes(5_000, 50_000, 20_000, 5, 50, 32, 2)


def best_seconds(*sides: Callable[[], Any], rounds: int) -> list[float]:
    """The shortest time of each side, over rounds in which they take turns."""
    best = [float("inf")] * len(sides)
    for _ in range(rounds):
        for number, side in enumerate(sides):
            gc.collect()
            started = time.perf_counter()
            side()
            best[number] = min(best[number], time.perf_counter() - started)
    return best


def rate_row(name: str, count: int, ours: float, theirs: float, against: str, target: float) -> Row:
    """How many a second we do, beside how many they do."""
    ratio = theirs / ours
    return Row(name, count / ours, "per second", against, ratio, target, ratio >= target)


def limit_row(name: str, seconds: float, limit_seconds: float, against: str) -> Row:
    """A time that must stay under a limit; the ratio is limit over time."""
    ratio = limit_seconds / seconds
    return Row(name, seconds * 1_000, "ms", against, ratio, 1.0, ratio >= 1.0)
