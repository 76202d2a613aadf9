"""A small storm on each database; `python -m tests.chaos` is the one of full size."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.storm import chaos
from tests.postgresql_server import Server


def test_schedulers_on_a_server_survive_a_storm(postgresql: Server, tmp_path: Path) -> None:
    """Killed, frozen, cut off, with clocks hours apart: each slot once, and all of it proven."""
    numbers = chaos(
        tmp_path / "storm", postgresql, seconds=4, schedulers=3, users=24, claims_per_batch=8
    )
    assert numbers["slots completed"] >= 8


def test_processes_on_one_file_survive_a_storm(tmp_path: Path) -> None:
    """The same on SQLite, where only processes can go."""
    numbers = chaos(tmp_path / "storm", None, seconds=3, schedulers=2, users=12, claims_per_batch=8)
    assert numbers["slots completed"] >= 4
