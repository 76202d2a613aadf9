"""A rebuild that is killed again and again comes to the same rows as one that nobody disturbs."""

from __future__ import annotations

from pathlib import Path

from tests.crash.rebuilding import rebuilt_through_kills


def test_a_rebuild_survives_kills_while_another_process_appends(tmp_path: Path) -> None:
    """`python -m tests.crash --rebuild-kills 50` does the same at length."""
    rebuilt_through_kills(tmp_path, kills=3, seed=1)
