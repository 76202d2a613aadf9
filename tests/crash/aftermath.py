"""The processes that are killed, and what must be true once another one has looked around."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from commands.scheduler import check
from ledger.events.scheduling import BackupCompleted, BackupStarted
from tests.commands.invariants import require_whole
from tests.commands.world import World, titles_in
from tests.crash.forking import READY, Job, clock_after, recover_everything, world_of

ROOT = Path(__file__).parents[2]
OLD = [f"case {number}" for number in range(20)]
NEW = [*OLD, "new since the backup"]


class Forker:
    """The forking process, started once."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.forking"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
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


def require_recovered(job: Job, story: str) -> None:
    """Another process recovers, and then everything is as if nobody had been killed."""
    world = world_of(job, clock_after(job))
    try:
        recover_everything(world)
        require_acknowledged(world, job)
        require_whole(world.site)
        size = world.site.ledger.log_recorder.head().size
        recover_everything(world)
        assert world.site.ledger.log_recorder.head().size == size  # there was nothing left to do
        require_target(world, story)
        if story == "scheduled":
            require_no_slot_lost(world)
    finally:
        world.close()


def require_acknowledged(world: World, job: Job) -> None:
    """Every event whose append returned is at its position."""
    stored = {each.position: each.event.event_id for each in world.all_events()}
    for line in job.acknowledged.read_text().splitlines():
        position, event_id = line.split()
        assert stored[int(position)] == event_id


def require_target(world: World, story: str) -> None:
    """The database holds the old or the new, whole; a copy elsewhere is whole or absent."""
    if story == "restore":
        assert titles_in(world.database) in (NEW, OLD)
    elif story == "restore elsewhere":
        elsewhere = world.folder / "elsewhere.db"
        assert not elsewhere.exists() or titles_in(elsewhere) == OLD
        assert titles_in(world.database) == NEW
    elif story.startswith("replace"):
        damaged = world.database.exists() and world.database.read_bytes()[:4] == b"this"
        is_absent = story == "replace missing" and not world.database.exists()
        assert damaged or is_absent or titles_in(world.database) == OLD
    assert not list(world.folder.glob(".backup-ledger-restore-*"))


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
