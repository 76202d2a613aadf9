"""Honest measuring: the sides take turns, every round counts, and the spread is said.

A round is one turn of each side, so that whatever else the machine does meets all of them. The
figure is the median over the rounds; its spread is the distance between the quartiles, as a share
of the median. Rounds are added until it is below a tenth, up to a limit; where it is not, the row
says so.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any

STEADY = 0.1
"""A spread below this is good enough to stop."""

MORE_ROUNDS = 3
"""At most so many times the rounds that a size asks for."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A median over rounds, with the distance of the quartiles as a share of it."""

    median: float
    spread: float


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `ratio` above `target` is better, always.

    `spread` is that of the ratio. `cpu_seconds`: what our side and the other took of the
    processors in a round, helper processes too; `load`: runnable processes as it began. `days`:
    of a row over many days, what each side stores after each, in bytes.
    """

    name: str
    value: float
    unit: str
    against: str
    ratio: float
    target: float
    met: bool
    spread: float = 0.0
    rounds: int = 1
    cpu_seconds: list[float] = field(default_factory=list)
    load: float = 0.0
    days: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def is_steady(self) -> bool:
        return self.spread < STEADY

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"steady": self.is_steady}


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


FULL = Sizes(1_000_000, 10_000_000, 1_000_000, 50, 1_000, 1_024, 5)
QUICK = Sizes(5_000, 50_000, 20_000, 5, 50, 32, 3)


@dataclass(slots=True)
class Rounds:
    """What each side took in each round: seconds, and seconds of the processors."""

    seconds: list[tuple[float, ...]] = field(default_factory=list)
    cpu: list[tuple[float, ...]] = field(default_factory=list)
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    def seconds_of(self, side: int = 0) -> float:
        return median(each[side] for each in self.seconds)

    def figure(self, of_round: Callable[..., float]) -> Figure:
        """A formula over the sides' seconds, worked out for each round by itself."""
        values = [of_round(*each) for each in self.seconds]
        middle = median(values)
        if len(values) == 1:
            return Figure(middle, 0.0)
        lower, _, upper = quantiles(values, n=4, method="inclusive")
        return Figure(middle, (upper - lower) / middle)

    def row(
        self,
        name: str,
        value: tuple[float, str],
        against: str,
        ratio: Callable[..., float],
        target: float,
    ) -> Row:
        """The row of these rounds. `value`: with its unit; `ratio`: of one round's seconds."""
        figure = self.figure(ratio)
        sides = zip(*self.cpu, strict=True)
        return Row(
            name,
            *value,
            against,
            figure.median,
            target,
            figure.median >= target,
            figure.spread,
            len(self.seconds),
            [median(side) for side in sides],
            self.load,
        )


def take_turns(*sides: Callable[[], Any], rounds: int, most: int | None = None) -> Rounds:
    """Rounds of all sides, until the ratio of the last to the first is steady.

    `most`: rounds at most; without it three times as many as asked for.
    """
    taken = Rounds()
    limit = rounds * MORE_ROUNDS if most is None else most
    while len(taken.seconds) < limit:
        if len(taken.seconds) >= rounds:
            spread = taken.figure(lambda *each: each[-1] / each[0] if each[1:] else each[0]).spread
            if spread < STEADY:
                break
        turns = [_turn(side) for side in sides]
        taken.seconds.append(tuple(seconds for seconds, _cpu in turns))
        taken.cpu.append(tuple(cpu for _seconds, cpu in turns))
    return taken


def rate_row(name: str, count: int, taken: Rounds, against: str, target: float) -> Row:
    """How many a second we do, beside how many they do."""
    value = count / taken.seconds_of(), "per second"
    return taken.row(name, value, against, lambda ours, theirs: theirs / ours, target)


def limit_row(
    name: str, taken: Rounds, limit_seconds: float, against: str, *, times: int = 1
) -> Row:
    """A time that must stay under a limit; the ratio is limit over time. `times`: in a round."""
    value = taken.seconds_of() / times * 1_000, "ms"
    return taken.row(name, value, against, lambda ours: limit_seconds * times / ours, 1.0)


def _turn(side: Callable[[], Any]) -> tuple[float, float]:
    gc.collect()
    cpu, started = _cpu_seconds(), time.perf_counter()
    side()
    return time.perf_counter() - started, _cpu_seconds() - cpu


def _cpu_seconds() -> float:
    """Of this process and of those that it waited for."""
    return sum(os.times()[:4])
