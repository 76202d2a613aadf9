"""Rebuilds all read models of a ledger, and says how much memory it needed at most, in bytes.

python -m tests.benchmarks.rebuilding_process LEDGER MODELS
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from commands.site.configuration import sqlite_url
from projections.projector.read_models import ReadModels
from tests.benchmarks.years_of_use import opened_ledger


def main(ledger_path: str, models_path: str) -> None:
    ledger = opened_ledger(Path(ledger_path))
    models = ReadModels.at(sqlite_url(Path(models_path)), ledger, is_applications=False)
    models.catch_up()
    models.rebuild(None)
    models.close()
    ledger.close()
    print(peak_bytes())


def peak_bytes() -> int:
    """The most memory that this program ever had."""
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage says on Linux is also that of the program which started this one.
        return int(status.read_text("ascii").partition("VmHWM:")[2].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main(*sys.argv[1:])
