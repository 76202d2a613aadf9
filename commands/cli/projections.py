"""backup-ledger projections: the read models that are folded from the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.errors import EXIT_CODES, FOUND_SOMETHING
from commands.cli.options import JsonOption
from commands.cli.session import opened
from commands.reporting.humanize import count
from commands.reporting.terminal import (
    add_row,
    new_table,
    note,
    progress_bar,
    say,
    show_table,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projections.projector.comparison import Difference

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)

ProjectionArgument = Annotated[
    str | None, typer.Argument(metavar="NAME", help="The read model; by default all.")
]
MAX_SHOWN = 50


@app.command("list", epilog=EXIT_CODES)
def list_projections(ctx: typer.Context, in_json: JsonOption = False) -> None:
    """List the read models and the position of each.

    `root` is the ledger's root at the position that the rows have reached. NAME@VERSION is a
    generation that is not in use: one that is being built, or one that was kept.

    \b
    Example:
      backup-ledger projections list
    """
    from commands.health.read_models import read_model_facts
    from ledger.append.database import place_of

    with opened(ctx, "read") as session:
        found = read_model_facts(session.site)
        if in_json:
            write_json(found)
            return
        table = new_table("Name", "Version", "State", "Position", "Behind", "Rows", "Root")
        for each in found:
            add_row(
                table,
                each["name"],
                each["version"],
                _state(each),
                each["position"],
                each["lag"] or "-",
                "?" if each["rows"] is None else each["rows"],
                "?" if each["root"] is None else each["root"][:16],
            )
        show_table(table)
        say(f"In {place_of(session.site.read_models.engine.url)}", style="dim")


@app.command(epilog=EXIT_CODES)
def rebuild(
    ctx: typer.Context, name: ProjectionArgument = None, in_json: JsonOption = False
) -> None:
    """Rebuild one read model, or all, from the first event.

    Readers use the old rows until the new ones are complete. An interrupted rebuild is continued.
    The old rows are kept: see `rollback` and `drop`.

    \b
    Examples:
      backup-ledger projections rebuild
      backup-ledger projections rebuild audit_trail
    """
    from commands.upkeep.rebuild_projections import rebuild_projections

    with opened(ctx, "act") as session:
        with progress_bar("rebuilding") as progress:
            rebuilt = rebuild_projections(
                session.site,
                session.context,
                name,
                progress and (lambda done, total: progress("events", done, total)),
            )
        if in_json:
            write_json([each.to_facts() for each in rebuilt])
            return
        for each in rebuilt:
            say(f"Rebuilt {each.name}: {each.rows} rows, to position {each.position}")
            if each.reason != "asked for":
                note(f"{each.name} was {each.reason}")


@app.command(epilog=EXIT_CODES)
def rollback(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The read model.")],
    in_json: JsonOption = False,
) -> None:
    """Switch back to the previous generation, and keep the other.

    After a failed upgrade, install the older software, then run this command.

    \b
    Example:
      backup-ledger projections rollback backup_catalog
    """
    from commands.upkeep.rebuild_projections import roll_back_projection

    # To read is enough: older software could not even catch up with what newer software made.
    with opened(ctx, "read") as session:
        back = roll_back_projection(session.site, session.context, name)
        if in_json:
            write_json(back.to_facts())
        else:
            say(f"{name}@{back.version} is in use again: {back.rows} rows")


@app.command(epilog=EXIT_CODES)
def drop(
    ctx: typer.Context,
    generation: Annotated[
        str, typer.Argument(metavar="NAME@VERSION", help="As `projections list` shows it.")
    ],
    in_json: JsonOption = False,
) -> None:
    """Drop a generation that is not in use. It can always be rebuilt.

    \b
    Example:
      backup-ledger projections drop backup_catalog@1
    """
    with opened(ctx, "read") as session:
        dropped = session.site.read_models.drop(generation)
        if in_json:
            write_json({"name": dropped.name, "version": dropped.version, "state": dropped.state})
        else:
            say(f"Dropped {dropped.label}, which was {dropped.state}")


@app.command(epilog=EXIT_CODES)
def diff(ctx: typer.Context, name: ProjectionArgument = None, in_json: JsonOption = False) -> None:
    """Compare the stored rows with the ledger, row by row. Exit code 3 if they differ.

    \b
    Example:
      backup-ledger projections diff backup_catalog
    """
    from commands.shapes.projections import DifferenceShape
    from projections.projector.comparison import differences

    with opened(ctx, "read") as session:
        found = differences(session.site.read_models, session.site.ledger, name)
        if in_json:
            write_json([DifferenceShape.of(each) for each in found])
        else:
            _show_differences(found)
    if found:
        raise typer.Exit(FOUND_SOMETHING)


def _state(found: dict[str, Any]) -> str:
    if found["state"] != "building":
        return str(found["state"])
    if found["problem"]:
        return f"stopped: {found['problem']}"
    size = found["position"] + found["lag"]
    return f"building, {100 * found['position'] // max(size, 1)} %"


def _show_differences(found: Sequence[Difference]) -> None:
    if not found:
        say("The stored rows match the ledger.", style="green")
        return
    table = new_table("Table", "Key", "Problem", "Column", "Expected", "Found")
    for each in found[:MAX_SHOWN]:
        column = "" if each.column is None else each.column
        add_row(table, each.table, each.key, each.problem, column, each.expected, each.found)
    show_table(table)
    say(
        f"{count(len(found), 'difference')}; to repair: backup-ledger projections rebuild",
        style="red",
    )
