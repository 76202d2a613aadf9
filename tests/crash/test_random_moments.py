"""A small share of `python -m tests.crash`: killed whenever, and killed again while recovering."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.crash.aftermath import Forker
from tests.crash.random_moments import killed_at_random
from tests.databases import Databases

KILLS = 10


@pytest.mark.both_databases
def test_process_killed_at_any_moment_and_its_recovery_too_leave_nothing_undone(
    forker: Forker, tmp_path: Path, databases: Databases
) -> None:
    """Whatever the moment was, the third process finds everything and finishes it."""
    for number in range(KILLS):
        folder = tmp_path / str(number)
        url = None if databases.name == "sqlite" else databases.url_of(folder)
        told = list(killed_at_random(forker, folder, Random(number), url))
        assert len(told) == 2
