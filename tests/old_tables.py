"""A ledger's tables as an older version of the software made them."""

from __future__ import annotations

from sqlalchemy import text, update
from sqlalchemy.engine import Engine

from ledger.append import tables
from ledger.append.backend import backend_of, quoted
from ledger.append.databases.guards import sqlite_triggers


def as_0_1_0_made_them(engine: Engine) -> None:
    """Take away every table and column that came with schema versions 2 and 3."""
    with engine.begin() as connection:
        for table in tables.metadata.sorted_tables:
            if tables.SINCE in table.info:
                table.drop(connection)
                continue
            place = quoted(connection, table.name)
            for column in table.columns:
                if tables.SINCE in column.info:
                    connection.execute(text(f"ALTER TABLE {place} DROP COLUMN {column.name}"))
        tables.redactions.drop(connection)
        if backend_of(connection).is_of_one_machine:
            for name, statement in sqlite_triggers(1).items():
                connection.execute(text(f"DROP TRIGGER {name}"))
                connection.exec_driver_sql(statement)
        connection.execute(update(tables.meta).values(schema_version=1))
