"""python -m tests.benchmarks [--quick] [--json] [NAME...]: one row each, ratios in one run."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import backup_rows, command_line_rows, ledger_rows, projection_rows
from tests.benchmarks.measuring import FULL, QUICK, Row, Sizes

BENCHMARKS: dict[str, Callable[[Path, Sizes], Row]] = {
    "append_single": ledger_rows.append_single,
    "append_batch": ledger_rows.append_batch,
    "verify": ledger_rows.verify_row,
    "rebuild": projection_rows.rebuild,
    "rebuild_memory": projection_rows.rebuild_memory,
    "due_query": projection_rows.due_query,
    "scheduler_start": command_line_rows.scheduler_start,
    "schedule_load": projection_rows.schedule_load,
    "shared_herd": backup_rows.shared_herd,
    "backup_snapshot": backup_rows.snapshot,
    "backup_verified": backup_rows.verified_backup,
    **backup_rows.BY_KIND,
    "help": command_line_rows.help_text,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--json", action="store_true", help="one JSON array")
    parser.add_argument("names", nargs="*", help="which ones; all without")
    chosen = parser.parse_args()
    rows = []
    for name, measure in BENCHMARKS.items():
        if chosen.names and name not in chosen.names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            row = measure(Path(folder), QUICK if chosen.quick else FULL)
        rows.append(row)
        if not chosen.json:
            show(row)
    if chosen.json:
        print(json.dumps([row.to_json() for row in rows], indent=2))


def show(row: Row) -> None:
    verdict = "met" if row.met else "NOT MET"
    figure = f"{row.value:12,.2f} {row.unit}"
    print(
        f"{row.name:16} {figure:24} {row.ratio:6.2f} (target {row.target}) {verdict:8}"
        f" against {row.against}"
    )


if __name__ == "__main__":
    main()
