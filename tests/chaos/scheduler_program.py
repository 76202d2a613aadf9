"""A scheduler's process that checks when it is told to, at the time that its own clock shows.

    python -m tests.chaos.scheduler_program SETTINGS

Settings are a JSON object: those of the site, `clock_offset_seconds` (how wrong its clock is when
it starts) and `claims_per_batch`. Each line on stdin is a JSON object: `at`, the true time,
`offset_seconds`, how wrong the clock is now, and perhaps `freeze`, the step at which the process
stops itself with SIGSTOP. The answer is a line with what the check came to. The end of stdin ends
it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from commands.health.presence import Presence
from commands.runs import run as run_backups
from commands.scheduler import check as scheduler
from commands.scheduler.checks import Checks
from commands.scheduler.recording import record_start, record_stop
from commands.site.configuration import Configuration
from commands.site.opening import open_site
from commands.site.site import Site
from ledger.append.databases import postgresql as postgresql_backend
from ledger.clock import ManualClock
from tests.commands.world import MIDNIGHT

FREEZABLE = {
    "claimed": ("stage_snapshot", "before"),
    "staged": ("stage_snapshot", "after"),
    "appending": ("runs_still_held", "after"),
    "created": ("publish_all", "before"),
    "published": ("publish_all", "after"),
}
"""Step -> the function of a run, and the side of it, where the process freezes."""


class SharedMachineClock(ManualClock):
    """A simulated time of day; the monotonic clock is the machine's, as for all its processes."""

    def monotonic(self) -> float:
        return time.monotonic()


def freeze_at(step: str) -> None:
    """Stop this process, all threads of it, the first time that it comes to a step."""
    name, side = FREEZABLE[step]
    function: Callable[..., Any] = getattr(run_backups, name)

    def freezing(*arguments: Any, **options: Any) -> Any:
        setattr(run_backups, name, function)
        if side == "before":
            os.kill(os.getpid(), signal.SIGSTOP)
        result = function(*arguments, **options)
        if side == "after":
            os.kill(os.getpid(), signal.SIGSTOP)
        return result

    setattr(run_backups, name, freezing)


def opened(settings: dict[str, Any], clock: ManualClock) -> Site:
    """The site; a server that is just being restarted is waited for."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return open_site(Configuration(**settings), "act", clock=clock)
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def serve(checks: Checks, clock: ManualClock) -> None:
    """Check at each time that is given."""
    for line in sys.stdin:
        order = json.loads(line)
        clock.move_to(
            datetime.fromisoformat(order["at"]) + timedelta(seconds=order["offset_seconds"])
        )
        if order.get("freeze"):
            freeze_at(order["freeze"])
        report = checks.check()
        answer = {"completed": report.completed, "failed": report.failed}
        answer |= {"abandoned": report.abandoned, "missed": report.missed_slots}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def main(settings: dict[str, Any]) -> None:
    """Start, check as told, stop."""
    offset = timedelta(seconds=settings.pop("clock_offset_seconds", 0))
    postgresql_backend.IDLE_WRITER_SECONDS = settings.pop(
        "idle_writer_seconds", postgresql_backend.IDLE_WRITER_SECONDS
    )
    scheduler.CLAIMS_PER_BATCH = settings.pop("claims_per_batch", scheduler.CLAIMS_PER_BATCH)
    logging.basicConfig(level=logging.WARNING, format="%(process)d %(name)s %(message)s")
    clock = SharedMachineClock(datetime.fromisoformat(settings.pop("at", str(MIDNIGHT))) + offset)
    site = opened(settings, clock)
    checks = Checks(site)
    with Presence(site, lambda: checks.readiness.problem):
        record_start(site)
        sys.stdout.write(json.dumps({"instance": site.instance}) + "\n")
        sys.stdout.flush()
        serve(checks, clock)
        record_stop(site, "told to")
    site.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
