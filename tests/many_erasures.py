"""Many erasures in a long ledger: python -m tests.many_erasures [--events N] [--erasures N].

A million events and a thousand erasures by default; the tests do the same with fewer. It says how
long erasing, verifying and folding took, and what verifying took before anything was erased.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from ledger.append.backend import backend_of
from ledger.append.database import database_url
from ledger.append.erasing.erase import erase_records
from ledger.append.ledger import Draft, Ledger
from ledger.append.reading import read_records
from ledger.append.tables import events as events_table
from ledger.clock import ManualClock
from ledger.events import catalog, scheduling
from ledger.events.housekeeping import RecordRedacted
from ledger.records.erasure import kept_of
from ledger.records.record import decode_event
from ledger.verify.verify import verify
from ledger.vocabulary import LEDGER_STREAM, backup_stream
from projections.projector.comparison import differences
from projections.projector.read_models import ReadModels
from tests.conftest import START, open_ledger_at
from tests.sample_events import CONTEXT, draft, sample, uuid_of

Result = TypeVar("Result")

BATCH = 1_000
WORDS = "said-by-anna"


@dataclass(frozen=True)
class Measured:
    """What it came to. Times in seconds."""

    events: int
    erased: int
    verify_before: float
    erase: float
    scrub: float
    verify: float
    rebuild: float


def many_erasures(folder: Path, events: int, erasures: int) -> Measured:
    """Fill a ledger, erase records spread over it in one act, and hold what must hold."""
    ledger = open_ledger_at(folder / "ledger.sqlite", ManualClock(START))
    engine = ledger.engine
    models = ReadModels.at(
        database_url(f"sqlite:///{folder}/projections.sqlite"), ledger, is_applications=False
    )
    try:
        _fill(ledger, events)
        models.catch_up()
        before, verify_before = _timed(lambda: verify(engine))
        assert before.findings == ()
        positions = range(3, events, 3 * max(events // 3 // erasures, 1))[:erasures]
        assert positions_said_in(folder) >= set(positions)
        _, erase = _timed(lambda: _erase(ledger, positions))
        _, scrub = _timed(lambda: backend_of(engine).scrub(engine, [events_table.name]))
        report, verified = _timed(lambda: verify(engine))
        assert report.findings == ()
        assert report.erased == len(positions)
        models.catch_up()
        assert differences(models, ledger) == []
        _, rebuild = _timed(lambda: models.rebuild(None))
        assert models.forget_erased() is None
    finally:
        models.close()
        ledger.close()
    assert not positions_said_in(folder) & set(positions)
    return Measured(events, len(positions), verify_before, erase, scrub, verified, rebuild)


def positions_said_in(folder: Path) -> set[int]:
    """Of which holds the words are in the folder's files: in rows, free pages or journals."""
    words = re.compile(rb"%b (\d+)\." % WORDS.encode())
    return {
        int(found[1]) for each in folder.iterdir() for found in words.finditer(each.read_bytes())
    }


def _fill(ledger: Ledger, events: int) -> None:
    """Every third event is a hold, of a backup of its own, that says something."""
    made = 0
    while made < events:
        drafts: list[Draft] = []
        for number in range(made + 1, min(made + BATCH, events) + 1):
            if number % 3 == 0:
                hold = sample(catalog.HoldPlaced, reason=f"{WORDS} {number}.")
                drafts.append(Draft(backup_stream(uuid_of(number)), hold))
            elif number % 3 == 2:
                name = f"auto_backup_user1_2025-01-13T03-00-00_{number}.db"
                made_here = sample(catalog.BackupCreated, filename=name)
                drafts.append(Draft(backup_stream(uuid_of(number + 1)), made_here))
            else:
                kind = scheduling.SettingsCreated if number == 1 else scheduling.SchedulePaused
                drafts.append(draft(kind, "schedule/1", owner=1))
        ledger.append(CONTEXT, *drafts)
        made += len(drafts)


def _erase(ledger: Ledger, positions: range) -> None:
    with ledger.locked() as locked:
        redacted = []
        for position in positions:
            (row,) = read_records(locked.connection, after=position - 1, up_to=position)
            redacted.append(
                RecordRedacted(
                    position=position,
                    leaf_hash=row.leaf_hash.hex(),
                    event_type=row.event_type,
                    stream=row.stream,
                    stream_version=row.stream_version,
                    ticket="DSR-1",
                    reason="article 17",
                    kept=kept_of(decode_event(row.record), {}),
                    guessable=False,
                )
            )
        ledger.append_locked(locked, CONTEXT, [Draft(LEDGER_STREAM, each) for each in redacted])
        erase_records(locked.connection, redacted)


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    began = perf_counter()
    result = work()
    return result, perf_counter() - began


def main(arguments: list[str]) -> None:
    """Run it, and print what it came to."""
    parser = argparse.ArgumentParser(prog="python -m tests.many_erasures")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--erasures", type=int, default=1_000)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        measured = many_erasures(Path(folder), chosen.events, chosen.erasures)
    for name, value in asdict(measured).items():
        sys.stdout.write(f"{name:14} {value:>12,.2f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
