"""Events of one stream, folded by example."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from ledger.append.ledger import Draft
from ledger.records.record import Event
from tests.sample_events import NOW, event

State = TypeVar("State")


def at(when: datetime, drafted: Draft) -> tuple[datetime, Draft]:
    return when, drafted


def events_of(drafts: Iterable[Draft | tuple[datetime, Draft]]) -> list[Event]:
    """The events of one stream, in order; all of them now, where nothing else is said."""
    pairs = [each if isinstance(each, tuple) else (NOW, each) for each in drafts]
    return [event(drafted, version, when) for version, (when, drafted) in enumerate(pairs, 1)]


def folded(
    evolve: Callable[[State | None, Event], State | None],
    *drafts: Draft | tuple[datetime, Draft],
) -> Any:
    """What the events add up to."""
    state: State | None = None
    for each in events_of(drafts):
        state = evolve(state, each)
    return state
