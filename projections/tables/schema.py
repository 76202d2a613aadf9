"""Making the read models' tables where they are missing or of another shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from ledger.append.backend import Tables, backend_of
from projections.errors import ProjectionsTooNew, TableInTheWay
from projections.tables import columns as tables
from projections.tables.projection import upsert

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Table

FORMER_COLUMNS = frozenset({"user_id", "enabled", "frequency", "backup_time", "keep_count"})
"""By these the former service's backup_settings is known."""


def prepare_tables(connection: Connection, older: Collection[str] = ()) -> set[str]:
    """Make what is missing; the names of the tables that are new and empty.

    A table of ours with a column missing was altered by hand, or is the former service's: it is
    made anew, since its rows can be folded again from the ledger. `older`: tables of an earlier
    version, which serve until a newer one was built.

    Raises:
        TableInTheWay: a table has a name of ours, but was never ours; nothing is changed.
        ProjectionsTooNew: newer software made the tables; nothing is changed.
    """
    found = Tables(connection)
    present = found.names()
    _refuse_newer(connection, present)
    refers_to_users = has_users(connection)
    fresh: set[str] = set()
    for table in tables.metadata.sorted_tables:
        if table.name in older:
            continue
        if table.name in present:
            if _refuse_foreign(found, table, present):
                continue
            table.drop(connection)
        shape = _shape_of(table, has_users=refers_to_users, connection=connection)
        backend_of(connection).create_table(connection, shape)
        fresh.add(table.name)
    row = {"id": 1, "schema_version": tables.SCHEMA_VERSION}
    upsert(connection, tables.meta, ("id",), [row])
    return fresh


def refuse_tables_in_the_way(connection: Connection) -> None:
    """See that the read models could be made in this database; changes nothing.

    Raises:
        TableInTheWay, ProjectionsTooNew: as `prepare_tables`.
    """
    found = Tables(connection)
    present = found.names()
    _refuse_newer(connection, present)
    for table in tables.metadata.sorted_tables:
        if table.name in present:
            _refuse_foreign(found, table, present)


def _refuse_foreign(found: Tables, table: Table, present: Collection[str]) -> bool:
    """Whether a table has the columns of ours; refused where it never was ours."""
    columns = found.columns(table.name)
    if columns >= {column.name for column in table.columns}:
        return True
    if tables.progress.name not in present and not columns >= FORMER_COLUMNS:
        raise TableInTheWay(
            f"the database has a table {table.name} that does not belong to the read models; "
            "rename it, or keep the read models elsewhere with --projections URL"
        )
    return False


def shape_of(table: Table, connection: Connection) -> Table:
    """A table as it is made in this database: with the reference to users where there are some."""
    return _shape_of(table, has_users=has_users(connection), connection=connection)


def _refuse_newer(connection: Connection, present: Collection[str]) -> None:
    if tables.meta.name not in present:
        return
    found = connection.execute(select(tables.meta.c.schema_version)).scalar()
    if found is not None and found > tables.SCHEMA_VERSION:
        raise ProjectionsTooNew(
            f"the read models' tables have schema version {found}, this software knows "
            f"{tables.SCHEMA_VERSION}; update backup-ledger"
        )


def has_users(connection: Connection) -> bool:
    """Whether the database these read models live in knows its users."""
    return backend_of(connection).has_column(connection, "users", "id")


def _shape_of(table: Table, *, has_users: bool, connection: Connection) -> Table:
    declares = backend_of(connection).leaves_foreign_keys_unchecked
    if table is tables.backup_settings and has_users and declares:
        return tables.backup_settings_of_users
    return table
