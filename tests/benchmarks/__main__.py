"""python -m tests.benchmarks [--quick] [--json] [--save FILE] [NAME...]: one row each.

Ratios are of one run. FILE keeps the newest row of each name, for `tests.benchmarks.report`.
`tests.benchmarks.compare` sets two commits side by side.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks import (
    backup_rows,
    command_line_rows,
    ledger_rows,
    offsite_rows,
    postgresql_rows,
    projection_rows,
)
from tests.benchmarks.measuring import FULL, QUICK, Row, Sizes

BENCHMARKS: dict[str, Callable[[Path, Sizes], Row]] = {
    "append_single": ledger_rows.append_single,
    "append_threads": ledger_rows.append_threads,
    "append_batch": ledger_rows.append_batch,
    "verify": ledger_rows.verify_row,
    "rebuild": projection_rows.rebuild,
    "rebuild_memory": projection_rows.rebuild_memory,
    "due_query": projection_rows.due_query,
    "scheduler_start": command_line_rows.scheduler_start,
    "run_once_start": command_line_rows.run_once_start,
    "status_start": command_line_rows.status_start,
    "schedule_load": projection_rows.schedule_load,
    "shared_herd": backup_rows.shared_herd,
    "backup_snapshot": backup_rows.snapshot,
    "backup_verified": backup_rows.verified_backup,
    **backup_rows.BY_KIND,
    **offsite_rows.BY_NAME,
    "help": command_line_rows.help_text,
    **postgresql_rows.BY_WRITERS,
    **postgresql_rows.BY_SCHEDULERS,
}

QUICK_TARGETS = {
    "backup_snapshot": 1.0,
    "backup_snapshot_blobs": 1.0,
    "backup_snapshot_rows": 1.0,
    "backup_snapshot_text": 1.0,
}
"""Where a small size cannot show what the target is about: of 32 MB, starting takes the most."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--json", action="store_true", help="one JSON array")
    parser.add_argument("--save", type=Path, help="keep the results in this file")
    parser.add_argument("names", nargs="*", help="which ones; all without")
    chosen = parser.parse_args()
    rows = []
    for name, measure in BENCHMARKS.items():
        if chosen.names and name not in chosen.names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            row = measure(Path(folder), QUICK if chosen.quick else FULL)
        if chosen.quick and name in QUICK_TARGETS:
            target = QUICK_TARGETS[name]
            row = replace(row, target=target, met=row.ratio >= target)
        rows.append(row)
        if chosen.save:
            save(chosen.save, row, "quick" if chosen.quick else "full")
        if not chosen.json:
            show(row)
    if chosen.json:
        print(json.dumps([row.to_json() for row in rows], indent=2))


def save(path: Path, row: Row, sizes: str) -> None:
    """Put a row among those that were kept, in the order of the list above."""
    kept = json.loads(path.read_text("utf-8"))["rows"] if path.exists() else []
    by_name = {each["name"]: each for each in kept} | {row.name: row.to_json()}
    found = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "sizes": sizes,
        "rows": [by_name[name] for name in BENCHMARKS if name in by_name],
    }
    path.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


def show(row: Row) -> None:
    verdict = "met" if row.met else "NOT MET"
    figure = f"{row.value:12,.2f} {row.unit}"
    spread = f"spread {row.spread:.0%} in {row.rounds}{'' if row.is_steady else ', NOT STEADY'}"
    print(
        f"{row.name:16} {figure:24} {row.ratio:6.2f} (target {row.target}) {verdict:8}"
        f" against {row.against}; {spread}"
    )


if __name__ == "__main__":
    main()
