"""The audit log as CSV that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING

from commands.audit.log_cells import COLUMNS, record_cells
from commands.reporting.csv_cells import safe_cell
from commands.reporting.terminal import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.append.reading import StoredRecord


def write_csv(records: Iterable[StoredRecord], *, header: bool = True) -> int:
    """Write records as rows (RFC 4180); the last position, 0 where there is none.

    On a terminal, control characters are shown and not obeyed.
    """
    writer = csv.writer(sys.stdout)
    if header:
        writer.writerow(COLUMNS)
    position, is_terminal = 0, sys.stdout.isatty()
    for record in records:
        position = record.position
        cells = [safe_cell(value) for value in record_cells(record)]
        writer.writerow([plain(cell) for cell in cells] if is_terminal else cells)
    sys.stdout.flush()
    return position
