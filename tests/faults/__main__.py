"""Every error at every call, for as long as that takes.

    python -m tests.faults [--below] [--story NAME ...] [--every N] [--power-cuts STATES]
        [--postgresql]

`--below` injects with a preloaded library, and so into SQLite and the copying processes too; it
needs a C compiler and Linux. `--power-cuts` does these instead, so many states for each call.
Failures are shown and counted; their folders are left. `--postgresql` has ledger and read models
on a server, which does not fail.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import traceback
from contextlib import ExitStack
from pathlib import Path
from random import Random

from tests.crash.aftermath import Forker
from tests.crash.stories import STORIES, STORIES_OF_DISORDER
from tests.faults.cutting import calls_of_story, cut
from tests.faults.injection import SHORT, Fault
from tests.faults.power_cut import calls_in
from tests.faults.preload import STATE_VARIABLE, Shim, build
from tests.faults.survival import calls_of, survive
from tests.postgresql_server import Server, running_server

ALL = STORIES | STORIES_OF_DISORDER


class Campaign:
    """All faults of all stories, counted."""

    def __init__(
        self, folder: Path, *, below: bool, every: int, server: Server | None = None
    ) -> None:
        self.folder = folder
        self.server = server
        self.every = every
        environment = build(folder) if below else None
        self.shim = Shim(environment[STATE_VARIABLE]) if environment else None
        self.forker = Forker(environment)
        self.lived = self.failed = 0

    def run(self, story: str) -> None:
        """Each error at each call, once and from there on; and transfers that are all short."""
        errors = ("EIO", "ENOSPC", "EINTR") if self.shim else ("EIO", "ENOSPC")
        self.is_within(story, Fault(1, SHORT, lasts=True))
        for error in errors:
            for lasts in (False, True) if error != "EINTR" else (False,):
                at = 1
                while self.is_within(story, Fault(at, error, lasts)):
                    at += self.every

    def cut_power(self, story: str, states: int) -> None:
        """After each call, so many of the states that a file system may leave."""
        calls = calls_of_story(self.forker, self.folder / f"{story} whole", story)
        for at in range(1, calls + 1, self.every):
            for state in range(states):
                folder = self.folder / f"{story} cut at {at} in state {state}"
                self.lived += 1
                try:
                    cut(self.forker, folder, story, at, Random(state), url=self.url())
                    shutil.rmtree(folder)
                except Exception:  # noqa: BLE001  (shown and counted)
                    self.failed += 1
                    call = calls_in(folder)[-1]
                    sys.stdout.write(f"FAILED {folder.name}, {call}: {traceback.format_exc()}\n")
                    sys.stdout.flush()

    def url(self) -> str | None:
        """A new database on the server, if there is one."""
        return self.server.new_database() if self.server else None

    def is_within(self, story: str, fault: Fault) -> bool:
        """Live one; whether the fault came before the story's end."""
        folder = self.folder / f"{story} {fault.at} {fault.error} {fault.lasts}"
        self.lived += 1
        hit: str | None = None
        try:
            hit = survive(self.forker, folder, story, fault, self.url())
            shutil.rmtree(folder)
        except Exception:  # noqa: BLE001  (shown and counted)
            self.failed += 1
            calls = [] if self.shim else calls_of(folder)
            hit = calls[fault.at - 1] if fault.at <= len(calls) else None
            where = self.shim.hit if self.shim else hit
            sys.stdout.write(f"FAILED {story} {fault} at {where}: {traceback.format_exc()}\n")
            sys.stdout.flush()
        return bool(self.shim.hit) if self.shim else hit is not None


def main() -> int:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--below", action="store_true")
    parser.add_argument("--story", action="append", choices=list(ALL))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--power-cuts", type=int, default=0)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="backup-ledger-faults-"))
    with ExitStack() as stack:
        server = None
        if options.postgresql:
            server = stack.enter_context(running_server(folder / "server"))
        campaign = Campaign(folder, below=options.below, every=options.every, server=server)
        stack.enter_context(campaign.forker)
        for story in options.story or ALL:
            before = campaign.lived, campaign.failed
            if options.power_cuts:
                campaign.cut_power(story, options.power_cuts)
            else:
                campaign.run(story)
            lived, failed = campaign.lived - before[0], campaign.failed - before[1]
            sys.stdout.write(f"{story}: {lived} faults, {failed} failures\n")
            sys.stdout.flush()
    sys.stdout.write(f"{campaign.lived} faults, {campaign.failed} failures in {folder}\n")
    return 1 if campaign.failed else 0


if __name__ == "__main__":
    sys.exit(main())
