"""A scheduler's process that checks when it is told to, at a simulated time.

    python -m tests.commands.checking_process DATABASE

Each line on stdin is a number of seconds after midnight of the new year; the answer is a line
with a JSON object. The end of stdin ends it.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

from commands.scheduler.check import check
from commands.site.configuration import Configuration
from commands.site.opening import open_site
from ledger.clock import ManualClock
from tests.commands.world import MIDNIGHT


def main(database: str) -> None:
    """Check at each time that is given."""
    clock = ManualClock(MIDNIGHT)
    site = open_site(Configuration(database=Path(database)), "act", clock=clock)
    for line in sys.stdin:
        clock.move_to(MIDNIGHT + timedelta(seconds=int(line)))
        report = check(site)
        sys.stdout.write(json.dumps({"completed": report.completed}) + "\n")
        sys.stdout.flush()
    site.close()


if __name__ == "__main__":
    main(sys.argv[1])
