"""A process that has everything imported and forks for each job: a fresh process in no time.

    python -m tests.crash.forking

Each line on stdin is a job (JSON); the answer is a line with the forked process's exit status,
negative where a signal ended it. It opens no database itself and has no threads.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from commands.recovery.reconcile import reconcile
from commands.scheduler.check import check
from ledger.clock import ManualClock
from tests.commands.world import MIDNIGHT, World, make_database
from tests.crash.steps import Steps, kill_after
from tests.crash.stories import STORIES, STORIES_APART, STORIES_OF_DISORDER
from tests.faults.acting import act_under, record_until
from tests.faults.opened_files import tell_opened

READY = "ready"


@dataclass(frozen=True)
class Job:
    """One process's life: `story`, or recovery for None; killed at a step, at a time, or never.

    `fault`: the fields of an injected error. `cut_at`: the call after which the power goes.
    `url`: the server's database that has ledger and read models; None for files.
    `watch`: tell which databases are opened as plain files; `opens`: open one so.
    """

    folder: str
    story: str | None
    kill_at: int | None = None
    kill_after_seconds: float | None = None
    fault: dict[str, Any] | None = None
    cut_at: int | None = None
    watch: bool = False
    opens: bool = False
    url: str | None = None

    @property
    def labels(self) -> Path:
        """The steps that the act came to, a line each."""
        return Path(self.folder, "labels.txt")

    @property
    def moment(self) -> Path:
        """The time at which the act began."""
        return Path(self.folder, "clock.txt")

    @property
    def acknowledged(self) -> Path:
        """Position and event_id of every event whose append returned."""
        return Path(self.folder, "acknowledged.txt")

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"


def world_of(job: Job, clock: ManualClock | None = None) -> World:
    folder = Path(job.folder) / "site"
    options = {} if job.url is None else {"ledger": job.url, "projections": job.url}
    return World(folder, clock or ManualClock(MIDNIGHT), options)


def clock_after(job: Job) -> ManualClock:
    """A clock just after the act's beginning."""
    return ManualClock(datetime.fromisoformat(job.moment.read_text()) + timedelta(seconds=1))


def recover_everything(world: World) -> None:
    """What the next process does: a check, then reconcile."""
    check(world.site)
    reconcile(world.site, world.context())


def perform(job: Job) -> int:
    """Live the job's life; its exit code. Does not return where it is killed."""
    act: Callable[[World], object] = recover_everything
    if job.story is None:
        world = world_of(job, clock_after(job))
        world.open()
    else:
        world = world_of(job)
        world.folder.mkdir()
        make_database(world.database)
        story = (STORIES | STORIES_APART | STORIES_OF_DISORDER)[job.story]
        story.prepare(world)
        act = story.act
        job.moment.write_text(world.clock.now().isoformat())
    steps = Steps(job.labels, job.acknowledged, job.kill_at)
    steps.install()
    if job.kill_after_seconds is not None:
        kill_after(job.kill_after_seconds)
    if job.fault is not None:
        return act_under(job.fault, Path(job.folder), world, act)
    if job.cut_at is not None:
        record_until(job.cut_at, Path(job.folder), world)
    if job.watch:
        tell_opened(Path(job.folder), world.folder)
    act(world)
    if job.opens:
        world.database.read_bytes()
    return 0


def main() -> None:
    """Fork for each line."""
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = perform(Job(**json.loads(line)))
            except BaseException:  # noqa: BLE001  (it is shown, and the status says it)
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
