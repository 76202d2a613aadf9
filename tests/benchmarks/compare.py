"""python -m tests.benchmarks.compare COMMIT [--rounds N] [--quick] NAME...: two commits in one run.

Each round measures every row in this folder and in a checkout of COMMIT, one after the other. What
is compared are the rows' ratios, each beside what it was measured beside at the same time: another
process, or records that have become longer, meet both sides of a ratio. The values are shown. Exit
code 1 where a row is worse here than there by more than the rounds differ among themselves.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from tests.benchmarks.__main__ import BENCHMARKS

HERE = Path(__file__).parent.parent.parent
FEWEST_ROUNDS = 3


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.compare", description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("names", nargs="+", choices=list(BENCHMARKS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    chosen = parser.parse_args()
    if chosen.rounds < FEWEST_ROUNDS:
        parser.error(f"--rounds must be at least {FEWEST_ROUNDS}; fewer have no spread")
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder, "there")
        git("worktree", "add", "--detach", str(there), chosen.commit)
        try:
            worse = [each for each in chosen.names if is_worse(there, each, chosen)]
        finally:
            git("worktree", "remove", "--force", str(there))
    return 1 if worse else 0


def is_worse(there: Path, name: str, chosen: argparse.Namespace) -> bool:
    """Measure a row on both sides by turns, print what came out, and judge."""
    here_rows, there_rows = [], []
    for _ in range(chosen.rounds):
        here_rows.append(measured(HERE, name, quick=chosen.quick))
        there_rows.append(measured(there, name, quick=chosen.quick))
    units = {row["unit"] for row in here_rows + there_rows}
    if len(units) > 1:
        sys.exit(f"{name} is in {' and '.join(sorted(units))}; the commits cannot be compared")
    unit = units.pop()
    ratios = [
        ours["ratio"] / theirs["ratio"] for ours, theirs in zip(here_rows, there_rows, strict=True)
    ]
    lower, _, upper = quantiles(ratios, n=4, method="inclusive")
    is_regression = upper < 1
    ours, theirs = (median(row["value"] for row in side) for side in (here_rows, there_rows))
    print(
        f"{name:24} {median(ratios):.2f} ({lower:.2f} to {upper:.2f}); here {ours:,.4g} {unit}, "
        f"there {theirs:,.4g} {unit}{' WORSE' if is_regression else ''}",
        flush=True,
    )
    return is_regression


def measured(folder: Path, name: str, *, quick: bool) -> dict[str, Any]:
    """One row, by the benchmarks of that folder itself."""
    command = [sys.executable, "-m", "tests.benchmarks", "--json", name]
    # The folder before whatever is installed.
    environment = os.environ | {"PYTHONPATH": str(folder)}
    ended = subprocess.run(
        [*command, *(["--quick"] if quick else [])],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    (row,) = json.loads(ended.stdout)
    return row  # type: ignore[no-any-return]


def git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(HERE), *arguments], check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
