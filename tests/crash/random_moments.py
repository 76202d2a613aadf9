"""Kills at moments that nobody chose: in the act, and then once more in the recovery."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.crash.aftermath import Forker, require_recovered
from tests.crash.forking import Job
from tests.crash.stories import STORIES, STORIES_OF_DISORDER

LONGEST_ACT_SECONDS = 0.08
"""About what the longest story takes; later kills would find nobody at work."""


def killed_at_random(
    forker: Forker, folder: Path, random: Random, url: str | None = None
) -> Iterator[str]:
    """Live one story, killed at any moment; a recovery, killed as well; then what must hold.

    `url`: of a new database on a server, for the ledger and the read models.
    """
    story = random.choice(list(STORIES | STORIES_OF_DISORDER))
    folder.mkdir()
    seconds = random.uniform(0, LONGEST_ACT_SECONDS)
    act = Job(str(folder), story, kill_after_seconds=seconds, url=url)
    yield f"{story}, killed after {seconds:.4f} s"
    forker.is_killed(act)
    act.acknowledged.touch()
    seconds = random.uniform(0, LONGEST_ACT_SECONDS / 2)
    if random.random() < 1 / 2:
        recovery = Job(str(folder), None, kill_after_seconds=seconds, url=url)
    else:
        recovery = Job(str(folder), None, kill_at=random.randrange(1, 12), url=url)
    yield f"{story}, then {recovery}"
    forker.is_killed(recovery)
    require_recovered(act, story)
