"""Many writers at once, and writers that are killed: what was promised is there."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from ledger.append.ledger import Ledger
from ledger.clock import ManualClock
from ledger.errors import ConcurrencyConflict
from ledger.events.scheduling import SettingsCreated
from tests.conftest import MakeContext, OpenLedger
from tests.ledger.appending_process import drafts_of
from tests.ledger.stored_tree import recomputed_tree, stored_tree
from tests.sample_events import draft

ROOT = Path(__file__).parents[3]


def appender(
    path: Path, name: str, count: int, events: int, threads: int = 1
) -> subprocess.Popen[str]:
    module = "tests.ledger.appending_process"
    arguments = [str(path), name, str(count), str(events), str(threads)]
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def promised(line: str) -> list[tuple[int, str]]:
    """(position, event id) of each event of an append."""
    pairs = (each.split(":") for each in line.split())
    return [(int(position), event_id) for position, event_id in pairs]


def stored_ids(ledger: Ledger) -> dict[int, str]:
    return {each.position: each.event.event_id for each in ledger.recorded()}


def assert_whole(ledger: Ledger) -> None:
    """Positions and stream versions without gaps, and a tree that is that of the records."""
    assert stored_tree(ledger) == recomputed_tree(ledger)
    versions: dict[str, int] = {}
    for row in ledger.records():
        assert row.stream_version == versions.get(row.stream, 0) + 1
        versions[row.stream] = row.stream_version


def test_threads_of_one_process_append_without_gaps(ledger: Ledger, context: MakeContext) -> None:
    """Eight threads, one ledger object: each append has neighboring positions of its own."""

    def write(name: str) -> list[list[int]]:
        return [
            [each.position for each in ledger.append(context(), *drafts_of(name, number, 3))]
            for number in range(12)
        ]

    with ThreadPoolExecutor(8) as pool:
        appends = [append for appends in pool.map(write, "abcdefgh") for append in appends]
    assert sorted(position for append in appends for position in append) == list(range(1, 289))
    assert all(append == list(range(append[0], append[0] + 3)) for append in appends)
    assert_whole(ledger)


@pytest.mark.slow
def test_processes_append_without_gaps(
    ledger: Ledger, ledger_path: Path, context: MakeContext, clock: ManualClock
) -> None:
    """Three processes and this one, on one file and one shared stream."""
    clock.move_to(datetime.now(UTC))  # as theirs: a jump would be recorded as well
    processes = [appender(ledger_path, name, count=25, events=4) for name in "abc"]
    own = [ledger.append(context(), *drafts_of("own", number, 2)) for number in range(25)]
    lines = [line for each in processes for line in each.communicate()[0].splitlines()]
    assert [each.returncode for each in processes] == [0, 0, 0]
    promises = dict(pair for line in lines for pair in promised(line))
    promises |= {each.position: each.event.event_id for append in own for each in append}
    assert len(promises) == 3 * 25 * 4 + 25 * 2
    assert stored_ids(ledger) == promises
    assert_whole(ledger)


def test_one_of_many_who_expect_the_same_version_wins(
    ledger: Ledger, open_ledger: OpenLedger, context: MakeContext
) -> None:
    """The others are told that the stream moved, and append nothing."""
    ledgers = [ledger, open_ledger(), open_ledger()]
    claim = draft(SettingsCreated, expected_version=0)

    def attempt(number: int) -> tuple[str, ...]:
        try:
            ledgers[number % 3].append(context(), claim, *drafts_of("x", number, 2))
        except ConcurrencyConflict as conflict:
            return conflict.streams
        return ("won",)

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(attempt, range(18)))
    assert sorted(outcomes) == [*[("schedule/1",)] * 17, ("won",)]
    assert ledger.log_recorder.head().size == 3
    assert_whole(ledger)


@pytest.mark.slow
@pytest.mark.parametrize(("threads", "appends_before_the_kill"), [(1, 1), (8, 4), (8, 19)])
def test_what_was_promised_survives_kill_9_and_no_half_append_stays(
    ledger: Ledger,
    ledger_path: Path,
    context: MakeContext,
    threads: int,
    appends_before_the_kill: int,
) -> None:
    """An append of 150 events is there whole or not at all, also where several share a commit."""
    process = appender(ledger_path, "victim", count=10_000, events=150, threads=threads)
    assert process.stdout is not None
    lines = list(islice(process.stdout, appends_before_the_kill))
    process.kill()
    lines += [line for line in process.stdout if line.endswith("\n")]
    process.stdout.close()
    assert process.wait() == -9
    promises = dict(pair for line in lines for pair in promised(line))
    assert len(promises) >= 150 * appends_before_the_kill
    assert promises.items() <= stored_ids(ledger).items()
    assert ledger.log_recorder.head().size % 150 == 0
    assert_whole(ledger)
    ledger.append(context(), *drafts_of("next", 0, 2))
    assert_whole(ledger)
