"""A process that appends to a ledger, and prints each append that it was promised.

    python -m tests.ledger.appending_process PATH NAME COUNT EVENTS [THREADS]

Each of COUNT appends has EVENTS events, half on a stream of its own and half on a shared one. With
several threads appends share commits.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from ledger.append.ledger import Context, Draft
from ledger.clock import SystemClock
from ledger.events.housekeeping import SourceOptimized
from ledger.events.scheduling import SchedulerStopped
from ledger.records.record import Actor
from tests.conftest import open_ledger_at
from tests.sample_events import SOURCE


def drafts_of(name: str, number: int, count: int) -> list[Draft]:
    own = SchedulerStopped(reason=f"{name}:{number}")
    shared = SourceOptimized(source=SOURCE, size_before=number, size_after=0)
    pair = (Draft(f"scheduler/{name}", own), Draft("ledger", shared))
    return [Draft(pair[each % 2].stream, pair[each % 2].details) for each in range(count)]


def main(path: str, name: str, count: str, events: str, threads: str = "1") -> None:
    ledger = open_ledger_at(Path(path), SystemClock())
    context = Context(Actor(id=name, kind="system"), datetime.now(UTC))
    writing = Lock()

    def append(number: int) -> None:
        recorded = ledger.append(context, *drafts_of(name, number, int(events)))
        positions = " ".join(f"{each.position}:{each.event.event_id}" for each in recorded)
        with writing:
            sys.stdout.write(f"{positions}\n")
            sys.stdout.flush()

    with ThreadPoolExecutor(int(threads)) as pool:
        list(pool.map(append, range(int(count))))
    ledger.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
