"""The processes that are killed, and what must be true once another one has looked around."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self
from zlib import crc32

from commands.backups.take import take_backup
from commands.restore.restore import restore_backup
from commands.scheduler.check import check
from ledger.events.catalog import BackupCorrupt, BackupMissing
from ledger.events.restoring import RestoreInterrupted
from ledger.events.scheduling import BackupCompleted, BackupStarted
from tests.commands.invariants import require_whole
from tests.commands.world import World, titles_in
from tests.crash.forking import READY, Job, clock_after, recover_everything, world_of
from tests.databases import Databases

ROOT = Path(__file__).parents[2]
EVERY = int(os.environ.get("BACKUP_LEDGER_TEST_EVERY", "4"))
"""Each so many steps of a story a process is killed."""
OLD = [f"case {number}" for number in range(20)]
NEW = [*OLD, "new since the backup"]


class Forker:
    """The forking process, started once; in an environment of its own, if one is given."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = environment

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.forking"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=self._environment,
        )
        assert self._read() == READY
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def run(self, job: Job) -> int:
        """The exit status of one more process."""
        assert self._process.stdin is not None
        self._process.stdin.write(job.to_line())
        self._process.stdin.flush()
        return int(self._read())

    def is_killed(self, job: Job) -> bool:
        """Run a job that ends well or by its kill; says which."""
        status = self.run(job)
        assert status in (0, -signal.SIGKILL), f"{job} failed, see standard error"
        return status != 0

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def killed_at_steps(
    forker: Forker,
    folder: Path,
    story: str,
    *,
    every: int = EVERY,
    databases: Databases | None = None,
    labels: Sequence[str] | None = None,
) -> Iterator[tuple[int, Job]]:
    """A story's life, ended at one step after another: the step's number, and the job.

    Each in a folder of its own, and in one of `databases`. `labels`: only these steps, and all.
    """

    def living(name: str, kill_at: int | None = None) -> Job:
        place = folder / name
        place.mkdir()
        url = None if databases is None else databases.url_of(place)
        return Job(str(place), story, kill_at=kill_at, url=url)

    whole = living("whole")
    assert not forker.is_killed(whole)
    steps = list(enumerate(whole.labels.read_text().splitlines(), 1))
    if labels is None:
        chosen = steps[crc32(story.encode()) % every :: every]
    else:
        numbers = {label: number for number, label in reversed(steps)}
        chosen = [(numbers[label], label) for label in labels]
    for number, label in chosen:
        job = living(f"{number} {label}", kill_at=number)
        assert forker.is_killed(job), label
        yield number, job


def require_recovered(job: Job, story: str, *, said: str = "", try_again: bool = True) -> None:
    """Another process recovers, and then everything is as if nobody had been killed.

    `said`: what the process said before it ended; a leftover that it named is a person's to remove.
    `try_again`: also do once more what was wanted.
    """
    world = world_of(job, clock_after(job))
    wait_for_copying_processes(world.backups / ".staging")
    try:
        recover_everything(world)
        require_acknowledged(world, job)
        require_no_file_lost(world, story)
        require_whole(world.site)
        size = world.site.ledger.log_recorder.head().size
        recover_everything(world)
        assert world.site.ledger.log_recorder.head().size == size  # there was nothing left to do
        require_target(world, story, said)
        if try_again:
            require_later_attempt(world)
        if story == "scheduled":
            require_no_slot_lost(world)
    finally:
        world.close()


def wait_for_copying_processes(staging: Path) -> None:
    """A process that a dead one started holds its lock until it notices; until then it is alive."""
    for lock in staging.glob("*/lock"):
        with lock.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)


def require_acknowledged(world: World, job: Job) -> None:
    """Every event whose append returned is at its position."""
    stored = {each.position: each.event.event_id for each in world.all_events()}
    for line in job.acknowledged.read_text().splitlines():
        position, event_id = line.split()
        assert stored[int(position)] == event_id


def require_no_file_lost(world: World, story: str) -> None:
    """What the ledger did not delete is there, and whole: nothing went away by itself."""
    missing = {each.filename for each in world.recorded(BackupMissing)}
    assert missing <= ({"hand1.db"} if story == "reconcile" else set())  # removed by hand there
    # What could not be read at all counts as corrupt until it can; nothing else was wrong.
    problems = [each.problem or "" for each in world.recorded(BackupCorrupt)]
    assert not [text for text in problems if "recorded" in text]


def require_target(world: World, story: str, said: str) -> None:
    """The database holds the old or the new, whole; a copy elsewhere is whole or absent."""
    if story == "restore":
        assert titles_in(world.database) in (NEW, OLD)
    elif story == "restore table":
        holds = {"old": NEW, "new": OLD}
        for each in world.recorded(RestoreInterrupted):
            assert titles_in(world.database) == holds[each.outcome]
        assert titles_in(world.database) in (NEW, OLD)
    elif story == "restore elsewhere":
        elsewhere = world.folder / "elsewhere.db"
        assert not elsewhere.exists() or titles_in(elsewhere) == OLD
        assert titles_in(world.database) == NEW
    elif story == "replace pages":
        assert titles_in(world.database) in (NEW, OLD)
    elif story.startswith("replace"):
        damaged = world.database.exists() and world.database.read_bytes()[:4] == b"this"
        is_absent = story == "replace missing" and not world.database.exists()
        assert damaged or is_absent or titles_in(world.database) == OLD
    left = world.folder.glob(".backup-ledger-restore-*")
    assert not [path for path in left if path.name not in said]


def require_later_attempt(world: World) -> None:
    """Whoever comes next can do it: restore where there is no database, and back up."""
    if not is_usable(world.database):
        restore_backup(world.site, world.context(), "first.db")
        assert titles_in(world.database) == OLD
    backup = take_backup(world.site, world.context(), filename="later.db")
    assert titles_in(world.backups / backup.filename) == titles_in(world.database)
    require_whole(world.site)


def is_usable(database: Path) -> bool:
    return database.exists() and database.read_bytes()[:6] == b"SQLite"


def require_no_slot_lost(world: World) -> None:
    """Whatever was killed is tried again: in the end each user's slot is done, once."""
    for user_id in (1, 2):
        if world.schedule(user_id).next_attempt > 1:
            world.due_again(user_id)
            check(world.site)
    claimed = world.recorded(BackupStarted)
    completed = world.recorded(BackupCompleted)
    slots = {each.slot for each in claimed}
    assert len(slots) == 2
    assert sorted(each.slot for each in completed) == sorted(2 * list(slots))
    require_whole(world.site)
