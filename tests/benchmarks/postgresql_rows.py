"""Work on a server by several at once, beside the library's own PostgreSQL recorder.

Each writer is a process; the server is this machine's own, and durable.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from ledger.append.database import create_ledger, database_url, open_engine
from ledger.clock import SystemClock
from tests.benchmarks.measuring import Rounds, Row, Sizes, rate_row
from tests.postgresql_server import Server, running_server
from tests.simulation.measuring import Office

APPENDS = 2_000
"""In all, whatever the number of writers."""

LIBRARY_APPENDS = 4_000


def appends(writers: int) -> Callable[[Path, Sizes], Row]:
    """A row: events a second, one an append, by so many writers at once."""

    def measure(folder: Path, sizes: Sizes) -> Row:
        each = min(APPENDS, sizes.events) // writers
        with running_server(folder / "server", durable=True) as server:
            ours, theirs = _ours(server), server.new_database()
            sides = (("ledger", ours), ("library", theirs))
            _together("library", theirs, 1, 1)  # makes its tables
            taken = Rounds()
            for _ in range(sizes.rounds):
                turn = [_together(kind, url, writers, each) for kind, url in sides]
                taken.seconds.append(tuple(turn))
        name = f"postgresql_append_{writers}"
        against = f"the library's PostgreSQL application, {writers} writers"
        return rate_row(name, each * writers, taken, against, 0.5)

    return measure


def _ours(server: Server) -> str:
    url = server.new_database()
    engine = open_engine(database_url(url))
    create_ledger(engine, str(uuid4()), SystemClock().now())
    engine.dispose()
    return url


def _together(kind: str, url: str, writers: int, each: int) -> float:
    """Start the writers, let them go at once, and wait for the last."""
    command = [sys.executable, "-m", "tests.benchmarks.appending_process", kind, url, str(each)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(writers)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        before = time.perf_counter()
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in started:
            process.communicate()
            assert process.returncode == 0
        return time.perf_counter() - before
    finally:
        for process in started:
            process.kill()  # also where one of them failed
            process.communicate()


def night(schedulers: int) -> Callable[[Path, Sizes], Row]:
    """A row: how late the last of many users is done who are all due at three in the morning.

    Beside the library's application appending as many events as that night has, one an append; how
    long that takes is reckoned from the first thousands.
    """

    def measure(folder: Path, sizes: Sizes) -> Row:
        users = sizes.users * 10
        with running_server(folder / "server", durable=True) as server:
            office, library = Office(server, folder, users), server.new_database()
            _together("library", library, 1, 1)  # makes its tables
            taken = Rounds()
            for _ in range(sizes.rounds):
                before = office.size()
                ours = office.night(schedulers)[-1]
                events = office.size() - before
                some = min(events, LIBRARY_APPENDS) // schedulers
                theirs = _together("library", library, schedulers, some)
                taken.seconds.append((ours, theirs * events / (some * schedulers)))
            office.close()
        against = f"the library's appends of as many events, {schedulers} writers; {users} users"
        return taken.row(
            f"postgresql_night_{schedulers}",
            (taken.seconds_of(), "s"),
            against,
            lambda ours, theirs: theirs / ours,
            1.0,
        )

    return measure


BY_SCHEDULERS = {f"postgresql_night_{number}": night(number) for number in (1, 2, 4)}
BY_WRITERS = {f"postgresql_append_{number}": appends(number) for number in (1, 4, 16)}
