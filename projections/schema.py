"""Making the read models' tables where they are missing or of another shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect

from projections import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table


def prepare_tables(connection: Connection) -> set[str]:
    """Make what is missing; the names of the tables that are new and empty.

    A table of ours with a column missing is of another version, or the former service's: it is
    made anew, since its rows can be folded again from the ledger.
    """
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    fresh: set[str] = set()
    for table in tables.metadata.sorted_tables:
        if table.name in present:
            columns = {column["name"] for column in inspector.get_columns(table.name)}
            if columns >= {column.name for column in table.columns}:
                continue
            table.drop(connection)
        _shape_of(table, has_users="users" in present, connection=connection).create(connection)
        fresh.add(table.name)
    return fresh


def has_users(connection: Connection) -> bool:
    """Whether the database these read models live in knows its users."""
    inspector = inspect(connection)
    return inspector.has_table("users") and any(
        column["name"] == "id" for column in inspector.get_columns("users")
    )


def _shape_of(table: Table, *, has_users: bool, connection: Connection) -> Table:
    if table is tables.backup_settings and has_users and connection.dialect.name == "sqlite":
        return tables.backup_settings_of_users
    return table
