"""backup-ledger backup restore --table: some tables, put back into the live database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.backup.table import backup_json
from commands.cli.session import Session, confirm
from commands.reporting import humanize as moments
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

    from commands.restore.tables import TableOutcome, TablesWanted
    from ledger.vocabulary import TableMode

TableOption = Annotated[
    list[str] | None,
    typer.Option("--table", metavar="T", help="Restore only this table; may be repeated."),
]
BesideOption = Annotated[
    bool, typer.Option("--beside", help="With --table: write `<table>_restored` instead.")
]
ExactOption = Annotated[
    bool, typer.Option("--exact", help="With --table: also remove rows that were added since.")
]
_HOW = {
    "in_place": "rows of the backup are put in place; rows added since stay",
    "exact": "the table is made equal to the backup's; rows added since are removed",
    "beside": "as a new table beside the others",
}


@dataclass(frozen=True, slots=True)
class TableOptions:
    """The options that say which tables, and how."""

    names: list[str] | None
    beside: bool
    exact: bool

    def wanted(self, *, is_alone: bool) -> TablesWanted | None:
        """What was asked for; None where it is the whole backup.

        Raises:
            InvalidArgument: the options contradict each other.
        """
        from commands.errors import InvalidArgument
        from commands.restore.tables import TablesWanted

        if not self.names:
            if self.beside or self.exact:
                raise InvalidArgument("--beside and --exact are for --table; give one")
            return None
        if not is_alone:
            raise InvalidArgument(
                "--table puts tables of a backup's own file into the database; it does not go with "
                "--to, --from, --identity or --without-ledger"
            )
        if self.beside and self.exact:
            raise InvalidArgument("--beside and --exact contradict each other; give one of them")
        mode: TableMode = "beside" if self.beside else "exact" if self.exact else "in_place"
        return TablesWanted(tuple(self.names), mode)


def restore_tables_of(
    session: Session,
    name: str,
    wanted: TablesWanted,
    *,
    plan: bool,
    force: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Show what would be done; ask; do it."""
    from commands.restore.plan import plan_restore
    from commands.restore.restore import for_tables, restore_backup
    from commands.restore.tables import plan_tables
    from commands.shapes.restore import ErasureShape

    site = session.site
    whole = for_tables(plan_restore(site, name), wanted)
    wait_seconds = site.configuration.restore_wait_seconds
    planned = plan_tables(whole.target, whole.content_in(site), wanted, wait_seconds, site.keys)
    if plan and as_json:
        write_json(_json(name, wanted.mode, planned) | {"erasures": ErasureShape.all_of(whole)})
        return
    if plan or not (yes or as_json):
        age = moments.relative(whole.backup.created_at, session.context.now)
        say(f"From {name}, made {age}, into {whole.target}: {_HOW[wanted.mode]}.")
        _show(planned)
    if whole.erased_since:
        note(whole.erased_since)
    if plan:
        say("Nothing was done.", style="dim")
        return
    confirm(f"Change {count(len(planned), 'table')} of {whole.target}?", yes=yes)
    with progress_bar("restoring", in_bytes=True) as progress:
        outcome = restore_backup(
            site, session.context, name, force=force, tables=wanted, on_progress=progress
        )
    kept = outcome.pre_restore
    if as_json:
        done = _json(name, wanted.mode, outcome.tables) | {"restored": True}
        done |= {"erasures": ErasureShape.all_of(whole)}
        write_json(done | {"pre_restore_backup": None if kept is None else backup_json(site, kept)})
        return
    for each in outcome.tables:
        say(f"Restored table {each.table}: {_sentence(each)}", style="green")
    if kept is not None:
        say(f"What was there before is kept as {kept.filename}")


def _json(name: str, mode: str, tables: Sequence[TableOutcome]) -> dict[str, Any]:
    from commands.shapes.differences import outcome_shape

    return {
        "filename": name,
        "mode": mode,
        "tables": [outcome_shape(each) for each in tables],
    }


def _show(planned: Sequence[TableOutcome]) -> None:
    numbers = ("Added", "Changed", "Removed")
    table = new_table("Table", *numbers, "", right=numbers)
    for each in planned:
        figures = (each.rows_added, each.rows_changed, each.rows_removed)
        remark = "made anew" if each.is_new else ""
        add_row(table, each.table, *(f"{figure:,}" for figure in figures), remark)
    show_table(table)


def _sentence(each: TableOutcome) -> str:
    return (
        f"{count(each.rows_added, 'row')} added, {each.rows_changed:,} changed, "
        f"{each.rows_removed:,} removed"
    )
