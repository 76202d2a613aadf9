"""The tables' own guards: are they still there, and are they still ours?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, inspect, select, text

from ledger.append import tables
from ledger.errors import LedgerBroken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column, Table

    from ledger.verify.findings import Findings

SCHEMA = "schema"


def check_schema(connection: Connection, findings: Findings) -> None:
    """Tables, their columns and keys, and the triggers that keep history append-only.

    A dropped trigger changes no record, but nobody drops one by accident: it is a finding.

    Raises:
        LedgerBroken: a table that must be read is not there.
    """
    found = inspect(connection)
    present = set(found.get_table_names())
    version = _version(connection, present)
    required = [each for each in tables.metadata.sorted_tables if _is_of(each, version)]
    missing = sorted({each.name for each in required} - present)
    if missing:
        raise LedgerBroken(f"tables of the ledger are missing: {', '.join(missing)}")
    for table in required:
        columns = {each["name"] for each in found.get_columns(table.name)}
        gone = sorted({each.name for each in table.columns if _is_of(each, version)} - columns)
        if gone:
            raise LedgerBroken(f"columns of {table.name} are missing: {', '.join(gone)}")
        _check_keys(found, table, findings)
    if connection.dialect.name == "sqlite":
        _check_triggers(connection, findings)
    else:
        _check_server_triggers(connection, findings)


def _version(connection: Connection, present: set[str]) -> int:
    """Of the ledger's tables: one that only older software used has fewer."""
    if tables.meta.name not in present:
        return tables.SCHEMA_VERSION
    found = connection.execute(select(func.min(tables.meta.c.schema_version))).scalar_one()
    return found if isinstance(found, int) else tables.SCHEMA_VERSION


def _is_of(thing: Table | Column[Any], version: int) -> bool:
    since: int = thing.info.get(tables.SINCE, 1)
    return since <= version


def not_checked(connection: Connection) -> Iterator[str]:
    """What about the schema stays open."""
    if connection.dialect.name == "sqlite":
        yield "the inner structure of the database file (SQLite: PRAGMA integrity_check)"
    else:
        yield "the database server's own rights and storage"


def _check_keys(found: Any, table: Table, findings: Findings) -> None:
    expected = [column.name for column in table.primary_key.columns]
    stored = found.get_pk_constraint(table.name)["constrained_columns"]
    if stored != expected:
        problem = f"the primary key of {table.name} is not ours"
        findings.add(SCHEMA, None, problem, expected, stored)
    unique = {tuple(each["column_names"]) for each in found.get_unique_constraints(table.name)}
    if table is tables.events and ("stream", "stream_version") not in unique:
        findings.add(
            SCHEMA,
            None,
            f"{table.name} has lost its unique key: one stream version could be stored twice",
            "unique (stream, stream_version)",
            sorted(unique),
        )


def _check_triggers(connection: Connection, findings: Findings) -> None:
    rows = connection.execute(
        text("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
    )
    stored = {row.name: (row.tbl_name, row.sql) for row in rows}
    for name, sql in tables.sqlite_triggers().items():
        _, found = stored.pop(name, (None, None))
        if found is None:
            problem = f"the trigger {name}, which keeps history append-only, was dropped"
            findings.add(SCHEMA, None, problem, sql, None)
        elif found != sql:
            findings.add(SCHEMA, None, f"the trigger {name} was changed", sql, found)
    for name, (table, sql) in stored.items():
        if str(table) in tables.metadata.tables:
            problem = f"{table} has a trigger that is not ours: {name}"
            findings.add(SCHEMA, None, problem, "no such trigger", sql)


_SERVER_TRIGGERS = text(
    "SELECT t.tgname, c.relname, t.tgtype, t.tgenabled, p.prosrc "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE NOT t.tgisinternal AND t.tgparentid = 0 "
    "AND c.relnamespace = current_schema()::regnamespace"
)


def _check_server_triggers(connection: Connection, findings: Findings) -> None:
    stored = {row.tgname: row for row in connection.execute(_SERVER_TRIGGERS)}
    for trigger in tables.POSTGRESQL_TRIGGERS:
        found = stored.pop(trigger.name, None)
        expected = (trigger.table, trigger.bits, tables.POSTGRESQL_FUNCTIONS[trigger.function])
        if found is None:
            problem = f"the trigger {trigger.name} was dropped"
            findings.add(SCHEMA, None, problem, trigger.when, None)
        elif (found.relname, found.tgtype, found.prosrc) != expected:
            problem = f"the trigger {trigger.name} was changed"
            findings.add(SCHEMA, None, problem, str(expected), str(tuple(found)))
        elif found.tgenabled not in (b"O", "O", b"A", "A"):
            problem = f"the trigger {trigger.name} was switched off"
            findings.add(SCHEMA, None, problem, "enabled", str(found.tgenabled))
    for name, found in stored.items():
        if found.relname in tables.metadata.tables:
            problem = f"{found.relname} has a trigger that is not ours: {name}"
            findings.add(SCHEMA, None, problem, "no such trigger", found.prosrc)
