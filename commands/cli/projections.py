"""backup-ledger projections: the read models that are folded from the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.errors import EXIT_CODES, FOUND_SOMETHING
from commands.cli.options import JsonOption
from commands.cli.output import (
    add_row,
    as_json,
    count,
    new_table,
    progress_bar,
    say,
    show_table,
    write_json,
)
from commands.cli.session import opened, place_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.site import Site
    from projections.comparison import Difference

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)

ProjectionArgument = Annotated[
    str | None, typer.Argument(metavar="NAME", help="Which one; by default all.")
]
MAX_SHOWN = 50


@app.command("list", epilog=EXIT_CODES)
def list_projections(ctx: typer.Context, in_json: JsonOption = False) -> None:
    """List the read models and how far each has come.

    \b
    Example:
      backup-ledger projections list
    """
    with opened(ctx, "read") as session:
        found = projections_json(session.site)
        if in_json:
            write_json(found)
            return
        table = new_table("Name", "Version", "Position", "Behind", "Rows", right=())
        for each in found:
            add_row(
                table,
                each["name"],
                each["version"],
                each["position"],
                each["lag"] or "-",
                each["rows"],
            )
        show_table(table)
        say(f"In {place_of(session.site.read_models.engine.url)}", style="dim")


@app.command(epilog=EXIT_CODES)
def rebuild(
    ctx: typer.Context, name: ProjectionArgument = None, in_json: JsonOption = False
) -> None:
    """Fold one read model, or all, again from the first event. Readers keep the old rows meanwhile.

    \b
    Examples:
      backup-ledger projections rebuild
      backup-ledger projections rebuild audit_trail
    """
    from commands.rebuild_projections import rebuild_projections

    with opened(ctx, "act") as session:
        with progress_bar("rebuilding") as progress:
            rebuilt = rebuild_projections(
                session.site,
                session.context,
                name,
                progress and (lambda done, total: progress("events", done, total)),
            )
        if in_json:
            write_json([each.to_json() for each in rebuilt])
            return
        for each in rebuilt:
            say(f"Rebuilt {each.name}: {each.rows} rows, to position {each.position}")


@app.command(epilog=EXIT_CODES)
def diff(ctx: typer.Context, name: ProjectionArgument = None, in_json: JsonOption = False) -> None:
    """Fold into memory and compare with what is stored, row by row. Exit code 3 if they differ.

    \b
    Example:
      backup-ledger projections diff backup_catalog
    """
    from projections.comparison import differences

    with opened(ctx, "read") as session:
        found = differences(session.site.read_models, session.site.ledger, name)
        if in_json:
            write_json([_difference_json(each) for each in found])
        else:
            _show_differences(found)
    if found:
        raise typer.Exit(FOUND_SOMETHING)


def projections_json(site: Site) -> list[dict[str, Any]]:
    """Name, version, position, lag and rows of each read model."""
    from projections.catalogue import all_projections
    from projections.projector import count_rows, read_progress

    site.read_models.catch_up()
    head = site.ledger.log_recorder.head().size
    with site.read_models.engine.connect() as connection:
        stored = read_progress(connection)
        return [
            {
                "name": each.name,
                "version": stored[each.name].version,
                "position": stored[each.name].position,
                "lag": head - stored[each.name].position,
                "rows": count_rows(connection, each),
            }
            for each in all_projections()
            if each.name in stored
        ]


def _difference_json(difference: Difference) -> dict[str, Any]:
    return {
        "table": difference.table,
        "key": as_json(difference.key),
        "problem": difference.problem,
        "column": difference.column,
        "expected": as_json(difference.expected),
        "found": as_json(difference.found),
    }


def _show_differences(found: Sequence[Difference]) -> None:
    if not found:
        say("What is stored is what the ledger adds up to.", style="green")
        return
    table = new_table("Table", "Key", "Problem", "Column", "Expected", "Found")
    for each in found[:MAX_SHOWN]:
        column = "" if each.column is None else each.column
        add_row(table, each.table, each.key, each.problem, column, each.expected, each.found)
    show_table(table)
    say(
        f"{count(len(found), 'difference')}; put it right: backup-ledger projections rebuild",
        style="red",
    )
