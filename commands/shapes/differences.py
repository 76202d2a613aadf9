"""What differs between two databases as it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from commands.restore.difference import RowChange, TableDifference
    from commands.restore.tables import TableOutcome


def table_shape(each: TableDifference, names: tuple[str, str]) -> dict[str, Any]:
    """One table: how many rows, and in which of the two it is where it is only in one."""
    shown: dict[str, Any] = {
        "name": each.name,
        "added": each.added,
        "removed": each.removed,
        "changed": each.changed,
        "only_in": None if each.only_in is None else names[each.only_in == "new"],
    }
    return shown | ({"columns": list(each.columns)} if each.columns else {})


def row_shape(row: RowChange) -> dict[str, Any]:
    """One row: of a changed one only the columns that differ."""
    return {"change": kind_of(row), "key": row.key, "before": row.before, "after": row.after}


def kind_of(row: RowChange) -> str:
    """What became of a row."""
    if row.before is None:
        return "added"
    return "removed" if row.after is None else "changed"


def outcome_shape(each: TableOutcome) -> dict[str, Any]:
    """What is done to a table that is put back."""
    return {
        "table": each.table,
        "rows_added": each.rows_added,
        "rows_changed": each.rows_changed,
        "rows_removed": each.rows_removed,
        "is_new": each.is_new,
    }
