"""Many erasures at once: the history stays whole, every fold is the same, no byte is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.many_erasures import many_erasures


@pytest.mark.slow
def test_many_records_are_erased_in_one_act(tmp_path: Path) -> None:
    """The same as `python -m tests.many_erasures`, which does it with a million events."""
    done = many_erasures(tmp_path, events=900, erasures=60)
    assert (done.events, done.erased) == (900, 60)
