"""A story whose power goes, and what must hold once it is back."""

from __future__ import annotations

from pathlib import Path
from random import Random

from tests.crash.aftermath import Forker, require_recovered
from tests.crash.forking import Job
from tests.faults.power_cut import calls_in, lose_what_was_not_flushed

NEVER = 0


def calls_of_story(forker: Forker, folder: Path, story: str) -> int:
    """How many calls there are after which the power can go."""
    folder.mkdir(parents=True)
    assert not forker.is_killed(Job(str(folder), story, cut_at=NEVER))
    return len(calls_in(folder))


def cut(
    forker: Forker,
    folder: Path,
    story: str,
    at: int,
    random: Random,
    *,
    believe_flushes: bool = True,
    url: str | None = None,
) -> int:
    """Cut the power after call number `at`; how much the disk forgot.

    `url`: of a new database on a server, whose power stays on.
    """
    folder.mkdir(parents=True)
    job = Job(str(folder), story, cut_at=at, url=url)
    forker.is_killed(job)
    job.acknowledged.touch()
    lost = lose_what_was_not_flushed(folder, random, believe_flushes=believe_flushes)
    require_recovered(job, story)
    return lost
