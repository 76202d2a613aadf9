"""Kept states make loading quick, and never change what is loaded."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.append.kept_states import KEEP_EVERY
from ledger.append.ledger import Draft, Ledger
from ledger.events.scheduling import SchedulePaused, ScheduleResumed, SettingsUpdated
from ledger.vocabulary import schedule_stream
from projections.folds.schedule import SCHEDULE_FORM, Schedule, evolve_schedule
from tests.conftest import OpenLedger
from tests.sample_events import CONTEXT, draft

STREAM = schedule_stream(1)


def live(ledger: Ledger, changes: int) -> None:
    """A user who changes keep_count again and again."""
    drafts = [
        draft(SettingsUpdated, STREAM, owner=1, after={"keep_count": 1 + number % 30})
        for number in range(changes)
    ]
    ledger.append(CONTEXT, *drafts)


def loaded(ledger: Ledger) -> Schedule | None:
    return ledger.load(STREAM, evolve_schedule, SCHEDULE_FORM)


def folded(ledger: Ledger) -> Schedule | None:
    return ledger.fold(STREAM, evolve_schedule)


def kept(path: Path) -> list[int]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT stream_version FROM ledger_snapshots ORDER BY 1")
        found = [row[0] for row in rows]
    connection.close()
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(open_ledger: OpenLedger, path: Path) -> Ledger:
    found = open_ledger(path)
    from ledger.events.scheduling import SettingsCreated  # noqa: PLC0415

    found.append(CONTEXT, draft(SettingsCreated, STREAM, owner=1))
    return found


def tamper(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def test_a_state_is_kept_every_hundred_events(ledger: Ledger, path: Path) -> None:
    """Not before: a short stream is folded as quickly."""
    live(ledger, KEEP_EVERY - 2)
    assert loaded(ledger) == folded(ledger)
    assert kept(path) == []
    live(ledger, 1)
    assert loaded(ledger) == folded(ledger)
    assert kept(path) == [KEEP_EVERY]
    live(ledger, KEEP_EVERY - 1)
    assert loaded(ledger) == folded(ledger)
    assert kept(path) == [KEEP_EVERY]
    live(ledger, 1)
    assert loaded(ledger) == folded(ledger)
    assert kept(path) == [KEEP_EVERY, 2 * KEEP_EVERY]


def test_only_what_came_after_the_kept_state_is_folded(ledger: Ledger) -> None:
    """That is what it is for."""
    live(ledger, 10 * KEEP_EVERY)
    loaded(ledger)
    live(ledger, 3)
    seen: list[int] = []

    def evolve(state: Schedule | None, event: object) -> Schedule | None:
        seen.append(event.stream_version)  # type: ignore[attr-defined]
        return evolve_schedule(state, event)  # type: ignore[arg-type]

    assert ledger.load(STREAM, evolve, SCHEDULE_FORM) == folded(ledger)
    assert len(seen) == 3


@pytest.mark.parametrize(
    "spoiling",
    [
        "DELETE FROM ledger_snapshots",
        "UPDATE ledger_snapshots SET topic = 'schedule@0'",
        "UPDATE ledger_snapshots SET state = x'00'",
        "UPDATE ledger_snapshots SET state = '[]'",
        "UPDATE ledger_snapshots SET state = '{}'",
        "UPDATE ledger_snapshots SET state = replace(CAST(state AS TEXT), 'enabled', 'bold')",
        "UPDATE ledger_snapshots SET state = replace(CAST(state AS TEXT), 'Z\"', '\"')",
        "UPDATE ledger_snapshots SET stream_version = stream_version - 1",
        "UPDATE ledger_snapshots SET stream_version = stream_version + 1000",
    ],
)
def test_what_cannot_be_believed_is_passed_over(ledger: Ledger, path: Path, spoiling: str) -> None:
    """Of another history, other software, or damaged: the stream itself is folded."""
    live(ledger, 2 * KEEP_EVERY)
    loaded(ledger)
    tamper(path, spoiling)
    assert loaded(ledger) == folded(ledger)
    live(ledger, 5)
    assert loaded(ledger) == folded(ledger)


def test_a_state_that_cannot_be_kept_costs_nothing_but_time(ledger: Ledger, path: Path) -> None:
    """The table is gone: loading goes on."""
    live(ledger, 2 * KEEP_EVERY)
    tamper(path, "DROP TABLE ledger_snapshots")
    tamper(path, "CREATE TABLE ledger_snapshots (stream, stream_version, topic)")
    assert loaded(ledger) == folded(ledger)


def test_a_loaded_schedule_has_every_field(ledger: Ledger) -> None:
    """Also those that are seldom set."""
    live(ledger, KEEP_EVERY)
    before = loaded(ledger)
    assert before is not None
    whole = replace(
        before,
        last_backup_at=datetime(2025, 1, 1, tzinfo=UTC),
        open_run_id="00000000-0000-4000-8000-000000000001",
        paused=True,
        failures=3,
        next_attempt=4,
    )
    assert SCHEDULE_FORM.load(SCHEDULE_FORM.dump(whole)) == whole


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from("upr"), st.integers(1, 130), st.booleans()), max_size=8))
def test_loading_is_folding_at_any_sequence(
    tmp_path_factory: pytest.TempPathFactory,
    open_ledger: OpenLedger,
    steps: list[tuple[str, int, bool]],
) -> None:
    """However many events come between two loads."""
    from ledger.events.scheduling import SettingsCreated  # noqa: PLC0415

    ledger = open_ledger(tmp_path_factory.mktemp("states") / "ledger.sqlite")
    ledger.append(CONTEXT, draft(SettingsCreated, STREAM, owner=1))
    for kind, number, is_loaded in steps:
        if kind == "u":
            live(ledger, number)
        else:
            details = SchedulePaused if kind == "p" else ScheduleResumed
            drafts: list[Draft] = [draft(details, STREAM, owner=1) for _ in range(number)]
            ledger.append(CONTEXT, *drafts)
        if is_loaded:
            assert loaded(ledger) == folded(ledger)
    assert loaded(ledger) == folded(ledger)
