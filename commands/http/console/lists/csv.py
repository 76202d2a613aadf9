"""A list as a CSV file: the same filters and order, read and sent part by part."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.responses import StreamingResponse

from commands.reporting.csv_cells import csv_lines
from commands.reporting.json_values import as_json
from commands.schedules.user_names import user_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection

    from commands.http.console.lists.listing import Listing
    from commands.site.site import Site
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


def list_as_csv(
    site: Site,
    found: Listing,
    columns: Sequence[str],
    read: Callable[[Connection, Wanted], list[Any]],
    place: Callable[[Any], Place],
    cells: Callable[[Any], Sequence[Any]],
) -> StreamingResponse:
    """All rows of a list of things that have a `user_id`, each with that user's name behind it."""

    def read_part(wanted: Wanted) -> list[Any]:
        with site.read_models.reading() as connection:
            return read(connection, wanted)

    def parts() -> Iterator[list[Sequence[Any]]]:
        for part in every_row(read_part, found.wanted(), place):
            names = user_names(site, [row.user_id for row in part])
            yield [(*cells(row), names.get(row.user_id or 0, "")) for row in part]

    filename = f"{found.path.rpartition('/')[2]}.csv"
    return csv_answer(filename, (*columns, "user_name"), parts())


def csv_answer(
    filename: str, columns: Sequence[str], parts: Iterator[list[Sequence[Any]]]
) -> StreamingResponse:
    """A file to be saved; times as in records."""
    rows = ([as_json(value) for value in row] for part in parts for row in part)
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return StreamingResponse(
        csv_lines(columns, rows), headers=headers, media_type="text/csv; charset=utf-8"
    )
