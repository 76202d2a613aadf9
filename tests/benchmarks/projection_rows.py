"""Rebuilding, finding due work, and loading a long schedule."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from commands.site.configuration import sqlite_url
from ledger.append.kept_states import KEEP_EVERY
from ledger.append.ledger import Context, Draft
from ledger.clock import SystemClock
from ledger.events.scheduling import SettingsUpdated
from ledger.vocabulary import schedule_stream
from projections.folds.schedule import SCHEDULE_FORM, evolve_schedule
from projections.projector.read_models import ReadModels
from projections.queries.due import due_schedules
from projections.tables import columns as tables
from tests.benchmarks.ledger_rows import ACTOR, created, new_ledger
from tests.benchmarks.library_runner import run_library
from tests.benchmarks.measuring import Row, Sizes, limit_row, take_turns
from tests.benchmarks.years_of_use import opened_ledger, years_of_use
from tests.sample_events import sample

CHUNK = 1_000
LIBRARY_EVENTS = 3_000
"""The library's way takes a transaction an event; its rate does not depend on how many."""
MEMORY_MB = 200
LONG_STREAM = 10_000


def rebuild(folder: Path, sizes: Sizes) -> Row:
    """All read models from the first event, beside the library's own runner."""
    path = folder / "rebuild.sqlite"
    total = years_of_use(path, sizes.events)
    ledger = opened_ledger(path)
    models = ReadModels.at(_url(folder / "models.sqlite"), ledger, is_applications=False)
    models.catch_up()
    count = min(LIBRARY_EVENTS, total)
    taken = take_turns(
        lambda: models.rebuild(None),
        lambda: run_library(path, folder / "library.sqlite", count),
        rounds=sizes.rounds,
    )
    models.close()
    ledger.close()
    return taken.row(
        "rebuild",
        (total / taken.seconds_of(), "per second"),
        "the library's runner",
        lambda ours, theirs: theirs * total / count / ours,
        20.0,
    )


def rebuild_memory(folder: Path, sizes: Sizes) -> Row:
    """The most memory that a process needs that does nothing but rebuild all read models."""
    path = folder / "memory.sqlite"
    total = years_of_use(path, sizes.memory_events)
    program = [sys.executable, "-m", "tests.benchmarks.rebuilding_process"]
    ended = subprocess.run(
        [*program, path, folder / "models.sqlite"], check=True, stdout=subprocess.PIPE
    )
    megabytes = int(ended.stdout) / 1_000_000
    against = f"{MEMORY_MB} MB at {total} events"
    ratio = MEMORY_MB / megabytes
    return Row("rebuild_memory", megabytes, "MB", against, ratio, 1.0, ratio >= 1.0)


def due_query(folder: Path, sizes: Sizes) -> Row:
    """What is due now, of very many settings."""
    ledger = new_ledger(folder / "due.sqlite")
    models = ReadModels.at(_url(folder / "due_models.sqlite"), ledger, is_applications=False)
    models.catch_up()
    now = SystemClock().now()
    with models.engine.begin() as connection:
        for start in range(1, sizes.settings, CHUNK * 10):
            rows = [_settings_row(user, now) for user in range(start, start + CHUNK * 10)]
            connection.execute(insert(tables.backup_settings), rows)
    with models.engine.connect() as connection:
        taken = take_turns(
            lambda: [due_schedules(connection, now, 1_000) for _ in range(100)],
            rounds=sizes.rounds,
        )
    models.close()
    ledger.close()
    return limit_row("due_query", taken, 0.001, f"1 ms at {sizes.settings} settings", times=100)


def _settings_row(user_id: int, now: Any) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "enabled": True,
        "frequency": "daily",
        "backup_time": "03:00",
        "keep_count": 7,
        "created_at": now,
        "updated_at": now,
        "next_backup_at": now + timedelta(hours=1 + user_id % 20),
        "timezone": "UTC",
        "paused": False,
        "failures": 0,
        "next_attempt": 1,
        "stream_version": 1,
    }


def schedule_load(folder: Path, sizes: Sizes) -> Row:
    """A schedule with a long past: the state kept last, and 99 events after it."""
    ledger = new_ledger(folder / "load.sqlite")
    context = Context(ACTOR, SystemClock().now())
    ledger.append(context, created(1))
    change = sample(
        SettingsUpdated, before={"keep_count": 7}, after={"keep_count": 8}, next_backup_at=None
    )
    for _ in range(LONG_STREAM // CHUNK):
        ledger.append(context, *(Draft(schedule_stream(1), change, 1) for _ in range(CHUNK)))
    ledger.load(schedule_stream(1), evolve_schedule, SCHEDULE_FORM)
    ledger.append(context, *(Draft(schedule_stream(1), change, 1) for _ in range(KEEP_EVERY - 1)))
    taken = take_turns(
        lambda: ledger.load(schedule_stream(1), evolve_schedule, SCHEDULE_FORM),
        rounds=sizes.rounds,
    )
    ledger.close()
    return limit_row("schedule_load", taken, 0.010, f"10 ms after {LONG_STREAM} events")


def _url(path: Path) -> Any:
    return sqlite_url(path)
