"""The tables' own guards: are they still there, and are they still ours?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from ledger.append import tables
from ledger.append.backend import Tables, backend_of
from ledger.errors import LedgerBroken

if TYPE_CHECKING:
    from sqlalchemy import Column, Table

    from ledger.verify.findings import Findings

SCHEMA = "schema"


def check_schema(connection: Connection, findings: Findings) -> None:
    """Tables, their columns and keys, and the triggers that keep history append-only.

    A dropped trigger changes no record, but nobody drops one by accident: it is a finding.

    Raises:
        LedgerBroken: a table that must be read is not there.
    """
    found = Tables(connection)
    present = found.names()
    version = _version(connection, present)
    required = [each for each in tables.metadata.sorted_tables if _is_of(each, version)]
    missing = sorted({each.name for each in required} - present)
    if missing:
        raise LedgerBroken(f"tables of the ledger are missing: {', '.join(missing)}")
    for table in required:
        columns = found.columns(table.name)
        gone = sorted({each.name for each in table.columns if _is_of(each, version)} - columns)
        if gone:
            raise LedgerBroken(f"columns of {table.name} are missing: {', '.join(gone)}")
        _check_keys(found, table, findings)
    for guard in backend_of(connection).broken_guards(connection, version):
        findings.add(SCHEMA, None, guard.problem, guard.expected, guard.found)


def _version(connection: Connection, present: set[str]) -> int:
    """Of the ledger's tables: one that only older software used has fewer."""
    if tables.meta.name not in present:
        return tables.SCHEMA_VERSION
    found = connection.execute(select(func.min(tables.meta.c.schema_version))).scalar_one()
    return found if isinstance(found, int) else tables.SCHEMA_VERSION


def _is_of(thing: Table | Column[Any], version: int) -> bool:
    since: int = thing.info.get(tables.SINCE, 1)
    return since <= version


def _check_keys(found: Tables, table: Table, findings: Findings) -> None:
    expected = [column.name for column in table.primary_key.columns]
    stored = found.primary_key(table.name)
    if stored != expected:
        problem = f"the primary key of {table.name} does not belong to the ledger"
        findings.add(SCHEMA, None, problem, expected, stored)
    if table is not tables.events:
        return
    unique = found.unique_keys(table.name)
    if ("stream", "stream_version") not in unique:
        findings.add(
            SCHEMA,
            None,
            f"{table.name} has lost its unique key: one stream version could be stored twice",
            "unique (stream, stream_version)",
            sorted(unique),
        )
