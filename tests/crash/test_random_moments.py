"""A small share of `python -m tests.crash`: killed whenever, and killed again while recovering."""

from __future__ import annotations

from pathlib import Path
from random import Random

from tests.crash.aftermath import Forker
from tests.crash.random_moments import killed_at_random

KILLS = 16


def test_process_killed_at_any_moment_and_its_recovery_too_leave_nothing_undone(
    forker: Forker, tmp_path: Path
) -> None:
    """Whatever the moment was, the third process finds everything and finishes it."""
    for number in range(KILLS):
        told = list(killed_at_random(forker, tmp_path / str(number), Random(number)))
        assert len(told) == 2
