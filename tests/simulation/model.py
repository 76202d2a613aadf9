"""A discrete-event simulation of schedulers that share one ledger, by the rules of the real ones.

The offsets of spread users, the batches, who begins where, retries and leases are those of
`commands`; only what takes time is replaced by measured costs. Schedulers have machines of their
own; what they share is the head's lock, which is given in the order of asking.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from random import Random

from commands.runs.batches import batches
from commands.scheduler.check import CLAIMS_PER_BATCH, PLACES_TO_BEGIN, batch_of
from commands.schedules.rules import retry_delay, spread_offset
from commands.site.configuration import Configuration

Turn = tuple[float, float]
"""What a scheduler does next: work by itself for so long, then hold the head for so long."""
_DEFAULT = Configuration.model_fields
LEASE_SECONDS = float(_DEFAULT["lease_seconds"].default)
CHECK_SECONDS = float(_DEFAULT["check_interval_seconds"].default)
ENDS = (1, 3)
"""Events of a run in the two appends that it ends with: its retention; what that did, and done."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Measured, in seconds."""

    hold: float
    """The head's lock, for one append of one event: what no second writer can do meanwhile."""
    hold_event: float
    """The same for one more event of a batch."""
    run: float
    """All that one user's run takes, with its share of the batch's appends, undisturbed."""
    snapshot: float
    """The copy that a batch shares: 0 where it is part of `run`."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Schedulers that go away: which share of them, and when, in seconds after the slot."""

    share: float
    at: float


@dataclass
class Night:
    """One slot of many users, all at the same time unless they are spread."""

    users: int
    schedulers: int
    costs: Costs
    spread_seconds: int = 0
    loss: Loss | None = None
    seed: int = 1
    done: dict[int, float] = field(default_factory=dict)
    """User -> seconds after the slot."""

    def __post_init__(self) -> None:
        self._due = {
            user: spread_offset(user, self.spread_seconds).total_seconds()
            for user in range(1, self.users + 1)
        }
        self._order = sorted(self._due, key=lambda user: (self._due[user], user))
        self._first = 0
        self._owner: dict[int, int] = {}
        self._returned: list[int] = []
        self._random = Random(self.seed)
        self._free = 0.0
        self._now = 0.0

    def run(self) -> list[float]:
        """Lateness of each user, in seconds from due to done, sorted."""
        waiting: list[tuple[float, int, float]] = []
        living = {}
        for number in range(self.schedulers):
            living[number] = self._scheduler(number)
            begin = CHECK_SECONDS * number / self.schedulers
            heapq.heappush(waiting, (begin, number, 0.0))
        lost = self._lost()
        while waiting and len(self.done) < self.users:
            at, number, hold = heapq.heappop(waiting)
            if self.loss is not None and lost and at >= self.loss.at:
                self._give_back(lost)
                for each in lost:
                    living.pop(each, None)
                lost = set()
            if number not in living:
                continue
            if hold:
                self._free = at = max(at, self._free) + hold
            self._now = at
            alone, hold = next(living[number])
            heapq.heappush(waiting, (at + alone, number, hold))
        return sorted(self.done[user] - self._due_first(user) for user in self.done)

    def _due_first(self, user: int) -> float:
        return spread_offset(user, self.spread_seconds).total_seconds()

    def _lost(self) -> set[int]:
        if self.loss is None:
            return set()
        return set(range(self.schedulers)[: int(self.schedulers * self.loss.share)])

    def _give_back(self, lost: set[int]) -> None:
        """Their open runs are abandoned when their leases are over, and tried again."""
        assert self.loss is not None
        over = self.loss.at + LEASE_SECONDS
        for user, owner in list(self._owner.items()):
            if owner in lost and user not in self.done:
                self._due[user] = over + retry_delay(1, self._random).total_seconds()
                self._returned.append(user)
                del self._owner[user]
        self._returned.sort(key=lambda user: self._due[user])

    def _scheduler(self, number: int) -> Generator[Turn, None, None]:
        costs = self.costs
        places = min(self.schedulers, PLACES_TO_BEGIN)
        while True:
            while batch := self._batch(number, places):
                yield 0.0, costs.hold + costs.hold_event * len(batch)
                mine = [user for user in batch if user not in self._owner]
                self._owner.update(dict.fromkeys(mine, number))
                if not mine:
                    continue
                self._returned = [user for user in self._returned if user not in self._owner]
                yield costs.snapshot, costs.hold + costs.hold_event * len(mine)
                for some in batches(mine):
                    yield from self._end(some)
            yield CHECK_SECONDS, 0.0

    def _end(self, some: Sequence[int]) -> Generator[Turn, None, None]:
        """Runs that end together; `done` from the moment at which that is appended."""
        costs = self.costs
        holds = [costs.hold + costs.hold_event * events * len(some) for events in ENDS]
        alone = max(costs.run * len(some) - sum(holds), 0.0) / len(holds)
        for hold in holds:
            yield alone, hold
        self.done.update(dict.fromkeys(some, self._now))

    def _batch(self, number: int, places: int) -> list[int]:
        """What a scheduler would claim now."""
        wanted = CLAIMS_PER_BATCH * places
        while self._first < self.users and self._order[self._first] in self._owner:
            self._first += 1
        found: list[int] = [user for user in self._returned if self._due[user] <= self._now]
        for place in range(self._first, self.users):
            user = self._order[place]
            if self._due[user] > self._now or len(found) >= wanted:
                break
            if user not in self._owner:
                found.append(user)
        chosen: list[int] = batch_of(found, f"scheduler {number}", CLAIMS_PER_BATCH)
        return chosen


def at_share(lateness: list[float], share: float) -> float:
    """The lateness that this share of the users does not exceed."""
    return lateness[min(int(len(lateness) * share), len(lateness) - 1)]
