"""Appending, beside the eventsourcing library's own SQLite application and bare SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import StoredEvent

from ledger.append.database import create_ledger, database_url, open_engine
from ledger.append.ledger import Context, Draft, Ledger
from ledger.clock import SystemClock
from ledger.events.scheduling import SettingsCreated
from ledger.records.record import Actor
from ledger.tree.merkle import leaf_hash
from ledger.verify.verify import verify
from ledger.vocabulary import schedule_stream
from tests.benchmarks.measuring import Row, Sizes, rate_row, take_turns
from tests.sample_events import sample

ACTOR = Actor(id="benchmark", kind="system")
BATCH_EVENTS = 1_000
THREADS = 16


class Schedule(Aggregate):
    """The same facts as an aggregate of the library's."""

    @event("Created")
    def __init__(self, frequency: str, backup_time: str, keep_count: int) -> None:
        self.frequency = frequency
        self.backup_time = backup_time
        self.keep_count = keep_count


class Schedules(Application):  # type: ignore[type-arg]
    """The library's application over its own SQLite recorder."""


def new_ledger(path: Path) -> Ledger:
    engine = open_engine(database_url(f"sqlite:///{path}"))
    create_ledger(engine, str(uuid4()), SystemClock().now())
    return Ledger(engine, SystemClock())


def created(user_id: int) -> Draft:
    now = SystemClock().now()
    details = sample(SettingsCreated, next_backup_at=now, next_slot=now)
    return Draft(schedule_stream(user_id), details, owner=user_id)


def append_single(folder: Path, sizes: Sizes) -> Row:
    """One event a transaction, with the tree."""
    ledger = new_ledger(folder / "single.sqlite")
    env = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(folder / "lib.db")}
    library = Schedules(env=env)
    count = min(sizes.events, 2_000)
    users: Iterator[int] = iter(range(1, 10**9))

    def ours() -> None:
        for _ in range(count):
            ledger.append(Context(ACTOR, SystemClock().now()), created(next(users)))

    def theirs() -> None:
        for _ in range(count):
            library.save(Schedule("daily", "03:00", 7))

    taken = take_turns(ours, theirs, rounds=sizes.rounds)
    ledger.close()
    library.close()
    return rate_row("append_single", count, taken, "the library's SQLite application", 1.0)


def append_threads(folder: Path, sizes: Sizes) -> Row:
    """One event an append by 16 threads of a process, which share commits, beside one thread."""
    ledger = new_ledger(folder / "threads.sqlite")
    each = min(sizes.events, 3_200) // THREADS
    users: Iterator[int] = iter(range(1, 10**9))

    def append(_thread: int) -> None:
        for _ in range(each):
            ledger.append(Context(ACTOR, SystemClock().now()), created(next(users)))

    def together() -> None:
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(append, range(THREADS)))

    def alone() -> None:
        for thread in range(THREADS):
            append(thread)

    taken = take_turns(together, alone, rounds=sizes.rounds)
    ledger.close()
    return rate_row("append_threads", each * THREADS, taken, "one thread's single appends", 1.0)


def append_batch(folder: Path, sizes: Sizes) -> Row:
    """Batches of 1,000 prepared events, beside executemany of the same rows."""
    ledger = new_ledger(folder / "batch.sqlite")
    bare = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    bare.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE rows (position INTEGER PRIMARY KEY, stream TEXT, stream_version INTEGER,"
        " event_type TEXT, record BLOB, leaf_hash BLOB, recorded_at INTEGER,"
        " UNIQUE (stream, stream_version))"
    )
    numbers: Iterator[int] = iter(range(1, 10**9))
    record = b"x" * 700

    def prepared() -> list[StoredEvent]:
        return [
            StoredEvent(f"schedule/{next(numbers)}", 1, "backup_scheduler.paused", record)
            for _ in range(BATCH_EVENTS)
        ]

    batches = [prepared() for _ in range(sizes.batches * sizes.rounds)]
    rows: list[list[tuple[Any, ...]]] = []
    position = 0
    for batch in batches:
        hashed = []
        for each in batch:
            position += 1
            topic, state = each.topic, each.state
            hashed.append((position, each.originator_id, 1, topic, state, leaf_hash(state), 0))
        rows.append(hashed)
    left, bare_left = iter(batches), iter(rows)

    def ours() -> None:
        for _ in range(sizes.batches):
            ledger.log_recorder.insert_events(next(left))

    def theirs() -> None:
        for _ in range(sizes.batches):
            bare.execute("BEGIN IMMEDIATE")
            bare.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)", next(bare_left))
            bare.execute("COMMIT")

    taken = take_turns(ours, theirs, rounds=sizes.rounds, most=sizes.rounds)
    ledger.close()
    bare.close()
    count = sizes.batches * BATCH_EVENTS
    return rate_row("append_batch", count, taken, "sqlite3.executemany of the same rows", 0.5)


def verify_row(folder: Path, sizes: Sizes) -> Row:
    """Full recomputation, beside reading every record and hashing it; at most four times."""
    ledger = new_ledger(folder / "verify.sqlite")
    context = Context(ACTOR, SystemClock().now())
    for start in range(1, sizes.events, BATCH_EVENTS):
        ledger.append(context, *(created(user) for user in range(start, start + BATCH_EVENTS)))

    def bare() -> None:
        with closing(sqlite3.connect(folder / "verify.sqlite")) as connection:
            for (record,) in connection.execute("SELECT record FROM ledger_events"):
                sha256(record).digest()

    taken = take_turns(lambda: verify(ledger.engine), bare, rounds=sizes.rounds)
    size = ledger.log_recorder.head().size
    ledger.close()
    value = size / taken.seconds_of(), "per second"
    against = "4 x SELECT record + SHA-256"
    return taken.row("verify", value, against, lambda ours, theirs: 4 * theirs / ours, 1.0)
