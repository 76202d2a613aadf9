"""What differs between two databases as it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict

from commands.shapes.backups import BackupMetadataResponse
from commands.shapes.shape import Shape
from ledger.vocabulary import TableMode

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


class ChangedRow(Shape):
    """A row as it was and as it is; of a changed one only the columns that differ."""

    change: Literal["added", "removed", "changed"]
    key: Any
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class ComparedTable(Shape):
    """How many rows of a table differ. `only_in`: which of both has it, where only one does."""

    model_config = ConfigDict(
        json_schema_extra={"required": ["name", "added", "removed", "changed", "only_in"]}
    )

    name: str
    added: int | None
    removed: int | None
    changed: int | None
    only_in: str | None
    columns: list[str] | None = None
    """Those that differ in form, where some do."""
    rows: list[ChangedRow] | None = None
    """Of the table that was asked for."""


class ComparedBackups(Shape):
    """`not_compared`: tables that could not be compared, and why."""

    older: str
    newer: str
    tables: list[ComparedTable]
    not_compared: dict[str, str]


class TableChange(Shape):
    """What is done to a table that is put back."""

    table: str
    rows_added: int
    rows_changed: int
    rows_removed: int
    is_new: bool


class PlannedTables(Shape):
    """What putting tables back would do. `erased_since`: what may come back with them."""

    filename: str
    mode: TableMode
    wanted: list[str]
    tables: list[TableChange]
    erased_since: str | None


class RestoredTables(Shape):
    """What putting tables back did."""

    filename: str
    mode: TableMode
    wanted: list[str]
    tables: list[TableChange]
    restored: bool
    message: str
    pre_restore_backup: BackupMetadataResponse | None
