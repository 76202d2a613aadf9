"""A list as a CSV file: the same filters and order, read and sent part by part."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.responses import StreamingResponse

from commands.reporting.csv_cells import csv_lines
from commands.reporting.json_values import as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from projections.queries.lists import Place, Wanted

ROWS_AT_ONCE = 1_000


def every_row(
    read: Callable[[Wanted], list[Any]], wanted: Wanted, value: Callable[[Any], Place]
) -> Iterator[list[Any]]:
    """All rows from the first on, so many at once; nothing is held open between them."""
    part = replace(wanted, place=None, is_before=False, limit=ROWS_AT_ONCE)
    while rows := read(part):
        yield rows
        if len(rows) < ROWS_AT_ONCE:
            return
        part = replace(part, place=value(rows[-1]))


def csv_answer(
    filename: str, columns: Sequence[str], parts: Iterator[list[Sequence[Any]]]
) -> StreamingResponse:
    """A file to be saved; times as in records."""
    rows = ([as_json(value) for value in row] for part in parts for row in part)
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return StreamingResponse(
        csv_lines(columns, rows), headers=headers, media_type="text/csv; charset=utf-8"
    )
