"""The power goes after one call after another, and what was not flushed is lost."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from commands.errors import StoreUnknown
from ledger.errors import LedgerError
from tests.crash.aftermath import Forker
from tests.faults.cutting import calls_of_story, cut

CUTS = 4
"""Calls of each story after which the power goes here, evenly. See `__main__`."""

STATES = 8


@pytest.mark.parametrize(
    "story",
    [
        "first backup",
        "copied",
        "scheduled",
        "clock ahead",
        "another database",
        "delete",
        "replace with a log",
        "replace missing",
        "restore elsewhere",
    ],
)
def test_nothing_acknowledged_is_lost_with_what_was_not_flushed(
    forker: Forker, tmp_path: Path, story: str
) -> None:
    """Recovery makes do with any state that a file system may leave."""
    calls = calls_of_story(forker, tmp_path / "whole", story)
    step = -(-calls // CUTS)
    for at in range(1 + calls % step, calls + 1, step):
        cut(forker, tmp_path / f"{at}", story, at, Random(at))


def test_disk_that_ignores_flushes_is_noticed(forker: Forker, tmp_path: Path) -> None:
    """The control: without what we flush, acknowledged backups would be lost."""
    calls = calls_of_story(forker, tmp_path / "whole", "first backup")
    held = 0
    for state in range(STATES):
        folder = tmp_path / f"{state}"
        with suppress(AssertionError, KeyError, LedgerError, StoreUnknown):
            cut(forker, folder, "first backup", calls, Random(state), believe_flushes=False)
            held += 1
    assert held < STATES
