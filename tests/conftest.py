"""A clock that stands still, a ledger on a real file, and who acts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings

from ledger.application import Context, Ledger
from ledger.clock import Clock, ManualClock
from ledger.database import create_ledger, database_url, open_engine
from ledger.record import Actor

# A slow machine is no wrong answer.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

START = datetime(2025, 1, 13, 3, 0, tzinfo=UTC)

OpenLedger = Callable[..., Ledger]
MakeContext = Callable[..., Context]


def open_ledger_at(path: Path, clock: Clock) -> Ledger:
    """The ledger in a file, made where there is none."""
    engine = open_engine(database_url(f"sqlite:///{path}"))
    if not path.exists():
        create_ledger(engine, str(uuid4()), clock.now())
    return Ledger(engine, clock)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def open_ledger(ledger_path: Path, clock: ManualClock) -> Iterator[OpenLedger]:
    """Open the ledger of the test once more, or another one; all are closed in the end."""
    opened: list[Ledger] = []

    def open_one(path: Path = ledger_path, own_clock: Clock = clock) -> Ledger:
        opened.append(open_ledger_at(path, own_clock))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def ledger(open_ledger: OpenLedger) -> Ledger:
    return open_ledger()


@pytest.fixture
def context(clock: ManualClock) -> MakeContext:
    """A new command of some actor, as of now."""

    def make(kind: str = "operator", name: str = "ada") -> Context:
        return Context(actor=Actor.model_validate({"id": name, "kind": kind}), now=clock.now())

    return make
