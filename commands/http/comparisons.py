"""Comparing backups and putting single tables back, as jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commands.reporting.humanize import count
from commands.restore.compared import Sides, require_table
from commands.restore.plan import plan_restore
from commands.restore.restore import for_tables, restore_backup
from commands.restore.tables import TablesWanted, plan_tables
from commands.shapes.backups import BackupMetadataResponse
from commands.shapes.differences import outcome_shape, row_shape, table_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from commands.http.jobs import Job, Tell
    from commands.http.served_site import ServedSite
    from commands.restore.tables import TableOutcome
    from ledger.append.ledger import Context

SHOWN_ROWS = 100
"""Rows of each kind that are shown of a table: removed, added, changed."""
MAX_CELL = 500


def compare_work(
    served: ServedSite, older: str, newer: str, table: str | None = None
) -> Callable[[Job, Tell], dict[str, Any]]:
    """What differs from an older backup to a newer one, or to the database (`live`).

    `table`: the rows of this one. A name may be `latest` or `@TIME` as well.

    Raises:
        BackupNotFound: one of them is not there.
    """
    sides = Sides.of(served.site, older, newer)

    def work(_job: Job, tell: Tell) -> dict[str, Any]:
        tell("comparing", 0, 0)
        shown: dict[str, Any] = {"older": sides.names[0], "newer": sides.names[1]}
        with sides.comparing() as comparison:
            if table is None:
                found = comparison.everything()
                tables = [table_shape(each, sides.names) for each in found.tables]
                return shown | {"tables": tables, "not_compared": found.not_compared}
            require_table(comparison, table)
            rows = [row_shape(each) for each in comparison.rows(table, SHOWN_ROWS)]
            one = table_shape(comparison.table(table), sides.names)
            rows = [_cut(row) for row in rows]
            return shown | {"tables": [one | {"rows": rows}], "not_compared": {}}

    return work


def plan_tables_work(
    served: ServedSite, filename: str, wanted: TablesWanted
) -> Callable[[Job, Tell], dict[str, Any]]:
    """What putting tables back would do; changes nothing."""
    site = served.site
    whole = for_tables(plan_restore(site, filename), wanted)
    content, wait = whole.content_in(site), site.configuration.restore_wait_seconds

    def work(_job: Job, tell: Tell) -> dict[str, Any]:
        tell("comparing", 0, 0)
        planned = plan_tables(whole.target, content, wanted, wait, site.keys)
        return _tables(filename, wanted, planned) | {"erased_since": whole.erased_since}

    return work


def restore_tables_work(
    served: ServedSite, context: Context, filename: str, wanted: TablesWanted
) -> Callable[[Job, Tell], dict[str, Any]]:
    """Put tables back; what the database holds now is kept first, as a protected backup."""
    site = served.site

    def work(_job: Job, tell: Tell) -> dict[str, Any]:
        done = restore_backup(site, context, filename, tables=wanted, on_progress=tell)
        kept = done.pre_restore
        shown = None if kept is None else BackupMetadataResponse.of(kept, site.store)
        number = count(len(done.tables), "table")
        return _tables(filename, wanted, done.tables) | {
            "restored": True,
            "message": f"{number} put back from {filename}",
            "pre_restore_backup": shown,
        }

    return work


def _tables(
    filename: str, wanted: TablesWanted, outcomes: Sequence[TableOutcome]
) -> dict[str, Any]:
    tables = [outcome_shape(each) for each in outcomes]
    return {
        "filename": filename,
        "mode": wanted.mode,
        "wanted": list(wanted.names),
        "tables": tables,
    }


def _cut(row: dict[str, Any]) -> dict[str, Any]:
    """Without what no page can show: a cell of megabytes."""
    return {
        name: {column: _short(cell) for column, cell in value.items()}
        if isinstance(value, dict)
        else value
        for name, value in row.items()
    }


def _short(cell: Any) -> Any:
    if isinstance(cell, str) and len(cell) > MAX_CELL:
        return f"{cell[:MAX_CELL]}… ({len(cell):,} characters)"
    return cell
