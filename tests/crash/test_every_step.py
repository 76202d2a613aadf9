"""Killed at each step in turn, by SIGKILL, before and after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.aftermath import Forker, require_recovered
from tests.crash.forking import Job
from tests.crash.stories import STORIES


@pytest.mark.parametrize("story", STORIES)
def test_process_killed_at_any_step_leaves_nothing_that_recovery_cannot_finish(
    forker: Forker, tmp_path: Path, story: str
) -> None:
    """All acknowledged events are there, the tree is true, catalog = directory, nothing open."""
    (tmp_path / "whole").mkdir()
    whole = Job(str(tmp_path / "whole"), story)
    assert not forker.is_killed(whole)
    labels = whole.labels.read_text().splitlines()
    for number, label in enumerate(labels, 1):
        folder = tmp_path / f"{number} {label}"
        folder.mkdir()
        job = Job(str(folder), story, kill_at=number)
        assert forker.is_killed(job), label
        require_recovered(job, story)
