"""The chaos run at full size.

    python -m tests.chaos [--schedulers 6 --users 2000 --seconds 300 --seed 1 --sqlite]

Processes are killed and frozen, connections cut and the server restarted, and the machines'
clocks are hours apart. It stops at the first thing that does not hold, and leaves the folder.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.chaos.storm import chaos
from tests.postgresql_server import running_server


def main() -> None:
    """One storm, as large as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--schedulers", type=int, default=6)
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--days", type=int, default=10_000)
    parser.add_argument("--stores", type=int, default=2)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sqlite", action="store_true")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="backup-ledger-chaos-"))
    sys.stderr.write(f"in {folder}\n")
    options = {
        "seconds": chosen.seconds,
        "days": chosen.days,
        "schedulers": chosen.schedulers,
        "users": chosen.users,
        "stores": chosen.stores,
        "claims_per_batch": chosen.batch,
        "seed": chosen.seed,
    }
    if chosen.sqlite:
        numbers = chaos(folder / "site", None, **options)
    else:
        with running_server(folder / "server") as server:
            numbers = chaos(folder / "site", server, **options)
    sys.stdout.write(json.dumps(options | numbers, indent=2) + "\n")


if __name__ == "__main__":
    main()
