"""Lines for machines: one JSON object each, with the numbers of runs and checks."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from commands.reporting.logs import STRUCTURED, JSONHandler, RecordedEvents, Timing, json_line
from tests.commands.world import World


@pytest.fixture
def heard() -> Iterator[None]:
    """Only JSON, whatever earlier tests of the command line left to be heard."""
    handler, words = JSONHandler(), logging.getLogger("backup_ledger")
    before, level = words.handlers[:], STRUCTURED.level
    words.handlers.clear()
    STRUCTURED.addHandler(handler)
    STRUCTURED.setLevel(logging.INFO)
    yield
    STRUCTURED.removeHandler(handler)
    STRUCTURED.setLevel(level)
    words.handlers[:] = before


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.usefixtures("heard")
def test_each_event_and_each_check_is_a_line(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run's line has user, run, size and duration; the check's line counts."""
    world.configure(7)
    world.due_again(7)
    world.site.listeners.append(RecordedEvents())
    capsys.readouterr()
    world.check()
    found = {line["event"]: line for line in lines(capsys)}
    assert list(found) == [
        "backup_scheduler.backup_started",
        "backup_catalog.backup_created",
        "backup_retention.applied",
        "backup_scheduler.backup_completed",
        "check",
    ]
    completed, started = (
        found[f"backup_scheduler.backup_{each}"] for each in ("completed", "started")
    )
    (backup,) = world.present()
    assert completed["user"] == 7
    assert completed["run_id"] == started["run_id"]
    assert completed["bytes"] == backup.size
    assert completed["filename"] == backup.filename
    assert completed["duration_seconds"] == 0
    assert completed["level"] == "info"
    assert completed["time"].endswith("Z")
    check = found["check"]
    assert (check["due"], check["lost"], check["completed"], check["failed"]) == (1, 0, 1, 0)
    for part in ("duration", "recover", "look", "claim", "run"):
        assert check[f"{part}_seconds"] == 0  # the clock stands still


@pytest.mark.usefixtures("heard")
def test_a_failure_is_a_warning_with_its_reason(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its duration is known as well: this process began it."""
    world.configure()
    world.due_again()
    world.database.rename(world.folder / "away")
    world.site.listeners.append(RecordedEvents())
    world.check()
    (failed,) = [each for each in lines(capsys) if each["event"].endswith("backup_error")]
    assert failed["level"] == "warning"
    assert failed["error_type"] == "SourceMissing"
    assert "there is no database at" in failed["error"]
    assert failed["duration_seconds"] == 0


def test_words_are_a_message_and_stay_on_one_line() -> None:
    """Whatever they hold; an exception is named."""
    try:
        raise ValueError("x")
    except ValueError as error:
        info = (ValueError, error, None)
    record = logging.LogRecord(
        "backup_ledger.runs", logging.ERROR, __file__, 1, "bad\n%s", ("\x1b[31mé\u2028",), info
    )
    line = json_line(record)
    assert line.isascii()
    assert line.isprintable()
    found = json.loads(line)
    assert found["event"] == "message"
    assert found["logger"] == "backup_ledger.runs"
    assert found["message"] == "bad\n\x1b[31mé\u2028"
    assert found["error_type"] == "ValueError"


def test_parts_that_come_several_times_add_up(world: World) -> None:
    """In seconds of a clock that only goes forward."""
    timing = Timing(world.clock)
    for _ in range(2):
        with timing.of("claim"):
            world.advance(seconds=1.5)
    world.advance(seconds=2)
    assert timing.fields() == {"duration_seconds": 5.0, "claim_seconds": 3.0}
