"""As many snapshots as there is time for.

python -m tests.soak --seconds 600
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.soak.snapshots import soak, soak_swapped


def main() -> int:
    """What the command line says; 1 where a snapshot was inconsistent."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="backup-ledger-soak-"))
    soaked = soak(folder, options.seconds, at_least=1)
    swapped = soak_swapped(folder, at_least=soaked.count)
    engines = ", ".join(f"{count} by {engine}" for engine, count in soaked.taken.items())
    sys.stdout.write(
        f"{soaked.count} snapshots ({engines}), {len(soaked.digests)} different, "
        f"{len(soaked.inconsistent)} inconsistent; {swapped.total()} of a database that was "
        f"swapped for another; in {folder}\n"
    )
    return 1 if soaked.inconsistent else 0


if __name__ == "__main__":
    sys.exit(main())
