"""The operating system fails at one call after another, and each story survives it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.aftermath import Forker
from tests.crash.stories import STORIES, STORIES_OF_DISORDER
from tests.faults.injection import FILE_SIZE, SHORT, SIGNALS, Fault
from tests.faults.survival import calls_of, survive

ALTERNATING = (
    ("EIO", False),
    ("ENOSPC", True),
    ("EIO", True),
    ("ENOSPC", False),
)
AT_EACH_CALL = 5
"""Up to so many calls each is spoiled; beyond, so many of them, evenly. See `__main__`."""
LIVED = tuple(
    story
    for story in STORIES | STORIES_OF_DISORDER
    if story not in ("settings", "hold", "clean up", "clean up empty", "replace with a log")
)
"""Also with clocks that jump and another database in the folder.

The others touch no file but the ledger, or those that one of these touches as well.
"""


@pytest.mark.parametrize("story", LIVED)
def test_error_at_any_call_ends_in_one_line_or_in_success_and_loses_nothing(
    forker: Forker, tmp_path: Path, story: str
) -> None:
    """Acknowledged events, the tree, the folder, the database, a later attempt: all hold."""
    assert survive(forker, tmp_path / "short", story, Fault(1, SHORT, lasts=True))
    calls = calls_of(tmp_path / "short")
    step = -(-len(calls) // AT_EACH_CALL)
    for number, at in enumerate(range(1, len(calls) + 1, step)):
        error, lasts = ALTERNATING[number % len(ALTERNATING)]
        survive(forker, tmp_path / f"{at}", story, Fault(at, error, lasts))


@pytest.mark.parametrize("story", ["begin", "scheduled", "restore", "settings"])
def test_file_that_may_not_grow_is_survived_by_what_sqlite_writes_too(
    forker: Forker, tmp_path: Path, story: str
) -> None:
    """From one page to about what the ledger needs."""
    for kibibytes in (4, 48, 200):
        fault = Fault(kibibytes * 1024, FILE_SIZE)
        assert survive(forker, tmp_path / f"{kibibytes}", story, fault) is None


@pytest.mark.parametrize("story", ["copied", "scheduled", "restore", "replace damaged"])
def test_interrupted_calls_are_not_seen(forker: Forker, tmp_path: Path, story: str) -> None:
    """Five thousand signals a second, and everything is done."""
    for number in range(2):
        survive(forker, tmp_path / f"{number}", story, Fault(200, SIGNALS))
