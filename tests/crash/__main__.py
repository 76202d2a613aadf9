"""Many more kills than a test run has time for.

    python -m tests.crash --kills 1000 [--rebuild-kills 50] [--seed 1] [--postgresql]

Each is a story killed at a random moment, and its recovery killed too. It stops at the first one
after which something does not hold, and leaves the folder. `--postgresql` has ledger and read
models on a server.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from random import Random

from tests.crash.aftermath import Forker
from tests.crash.random_moments import killed_at_random
from tests.crash.rebuilding import rebuilt_through_kills
from tests.postgresql_server import running_server


def main() -> None:
    """Kill as often as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rebuild-kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="backup-ledger-crash-"))
    with ExitStack() as stack:
        forker, server = stack.enter_context(Forker()), None
        if options.postgresql:
            server = stack.enter_context(running_server(folder / "server"))
        for number in range(options.kills):
            random, own = Random(f"{options.seed}/{number}"), folder / str(number)
            what = ""
            try:
                url = server.new_database() if server else None
                for what in killed_at_random(forker, own, random, url):  # noqa: B007
                    pass
            except BaseException:
                sys.stderr.write(f"kill {number} ({what}) left {own}\n")
                raise
            shutil.rmtree(own)
    if options.rebuild_kills:
        at_work = rebuilt_through_kills(folder, options.rebuild_kills, options.seed)
        sys.stdout.write(f"{options.rebuild_kills} kills of a rebuild, {at_work} at work\n")
    shutil.rmtree(folder)
    sys.stdout.write(f"{options.kills} kills, and everything held\n")


if __name__ == "__main__":
    main()
