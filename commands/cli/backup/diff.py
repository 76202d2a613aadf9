"""backup-ledger backup diff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.options import JsonOption
from commands.cli.session import opened
from commands.reporting.humanize import count
from commands.reporting.terminal import add_row, new_table, say, show_table, write_json
from commands.restore import LIVE

if TYPE_CHECKING:
    from commands.restore.difference import Comparison, RowChange, TableDifference

SHOWN_ROWS = 20
NameA = Annotated[
    str,
    typer.Argument(metavar="A", help="The older one: file name, latest, latest:USER or @TIME."),
]
NameB = Annotated[
    str, typer.Argument(metavar="[B|live]", help="The newer one, or the database as it is now.")
]


def diff(
    ctx: typer.Context,
    older: NameA,
    newer: NameB = LIVE,
    tables: Annotated[
        list[str] | None,
        typer.Option("--table", metavar="T", help="Show this table's rows; may be repeated."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a backup with another one, or with the database.

    Rows are matched by primary key, or by rowid if there is none. Nothing is changed or recorded.
    --table shows the first changed rows of each kind; with --json, all of them.

    \b
    Examples:
      backup-ledger backup diff latest
      backup-ledger backup diff @2025-01-12 latest
      backup-ledger backup diff latest --table invoices
    """
    from commands.restore.compared import Sides, require_table

    with opened(ctx, "read") as session:
        sides = Sides.of(session.site, older, newer)
        with sides.comparing() as comparison:
            for table in tables or ():
                require_table(comparison, table)
            if tables:
                _show_rows(comparison, tables, sides.names, as_json=as_json)
            else:
                _show_tables(comparison, sides.names, as_json=as_json)


def _show_tables(comparison: Comparison, names: tuple[str, str], *, as_json: bool) -> None:
    from commands.shapes.differences import table_shape

    found = comparison.everything()
    if as_json:
        answer: dict[str, Any] = {"tables": [table_shape(each, names) for each in found.tables]}
        if found.not_compared:
            answer["not_compared"] = found.not_compared
        write_json(answer)
        return
    changed = [each for each in found.tables if each.is_any]
    if changed:
        table = new_table("Table", "Added", "Removed", "Changed", "", right=_NUMBERS)
        for each in changed:
            add_row(
                table,
                each.name,
                f"{each.added:,}",
                f"{each.removed:,}",
                f"{each.changed:,}",
                _remark(each, names),
            )
        show_table(table)
    for name, problem in found.not_compared.items():
        say(f"Table {name} could not be compared: {problem}", style="yellow")
    same = len(found.tables) - len(changed)
    say(f"{count(same, 'table')} without a difference, from {names[0]} to {names[1]}.")


_NUMBERS = ("Added", "Removed", "Changed")


def _remark(each: TableDifference, names: tuple[str, str]) -> str:
    if each.only_in is not None:
        return f"only in {names[each.only_in == 'new']}"
    return f"columns differ: {', '.join(each.columns)}" if each.columns else ""


def _show_rows(
    comparison: Comparison, tables: list[str], names: tuple[str, str], *, as_json: bool
) -> None:
    from commands.shapes.differences import row_shape, table_shape

    if as_json:
        write_json(
            {
                "tables": [
                    table_shape(comparison.table(each), names)
                    | {"rows": [row_shape(row) for row in comparison.rows(each)]}
                    for each in tables
                ]
            }
        )
        return
    for each in tables:
        found = comparison.table(each)
        say(f"{each}: {found.added:,} added, {found.removed:,} removed, {found.changed:,} changed")
        if found.only_in is not None or found.columns:
            say(f"  {_remark(found, names)}")
        shown = 0
        for row in comparison.rows(each, SHOWN_ROWS):
            say(_sentence(row))
            shown += 1
        left = found.added + found.removed + found.changed - shown
        if left and found.only_in is None:
            say(f"  and {left:,} more; all of them: --json", style="dim")


def _sentence(row: RowChange) -> str:
    key = ", ".join(f"{name} {value}" for name, value in row.key.items())
    if row.before is None or row.after is None:
        values = row.before or row.after or {}
        told = ", ".join(f"{name}={value!r}" for name, value in values.items())
        return f"  {'-' if row.after is None else '+'} {key}: {told}"
    pairs = (
        f"{name} {old!r} -> {row.after.get(name, 'gone')!r}" for name, old in row.before.items()
    )
    return f"  ~ {key}: {', '.join(pairs)}"
