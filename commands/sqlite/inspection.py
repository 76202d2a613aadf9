"""What a SQLite file holds: its schema's fingerprint, tables, rows, and whether it is sound."""

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from commands.sqlite.cipher.keys import Keys
from commands.sqlite.connections import open_immutable, pragma
from commands.sqlite.errors import shown, translated
from commands.sqlite.files import sha256_of
from commands.sqlite.integrity import raw_table_names, readable, with_stub_collations
from ledger.sqlite_driver import any_text
from ledger.vocabulary import EVERYTHING

__all__ = [
    "OUR_TABLES",
    "OUR_TABLE_PREFIX",
    "Inspection",
    "TableRows",
    "application_tables",
    "inspect",
    "is_application_table",
    "open_immutable",
    "schema_fingerprint",
    "sealed",
    "sha256_of",
    "table_names",
]

OUR_TABLES = frozenset(
    {
        "backup_settings",
        "backup_catalog",
        "backup_runs",
        "offsite_destinations",
        "offsite_copies",
        "audit_trail",
    }
)
OUR_TABLE_PREFIX = "ledger_projection_"

_OF_THE_TABLE = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT)
"""Result codes of a table that cannot be read here, while others can."""

SchemaRow = tuple[str, str, str, str | None]
"""type, name, tbl_name, sql of sqlite_schema."""


@dataclass(frozen=True)
class TableRows:
    """How many rows a table holds."""

    name: str
    rows: int


@dataclass(frozen=True)
class Inspection:
    """What a database holds of the application's; `tables` are sorted by name."""

    schema_fingerprint: str
    table_count: int
    row_count: int
    tables: tuple[TableRows, ...]
    schema_version: int
    page_size: int
    warnings: tuple[str, ...] = ()
    uncounted: tuple[str, ...] = ()
    """Names of tables whose rows could not be counted; they stand with 0."""


def is_application_table(name: str) -> bool:
    """Whether a table is the application's: not one of our projections, not SQLite's own.

    SQLite compares names without case, and so does this.
    """
    folded = name.lower()
    ours = folded in OUR_TABLES or folded.startswith(OUR_TABLE_PREFIX)
    return not ours and not folded.startswith("sqlite_")


def application_tables(connection: sqlite3.Connection) -> list[str]:
    """Names of the application's tables, sorted.

    Raises:
        sqlite3.Error: as SQLite says it.
    """
    return [name for kind, name, _, _ in _schema(connection) if kind == "table"]


def table_names(connection: sqlite3.Connection) -> set[str]:
    """Names of the application's tables in lower case: SQLite compares them without case.

    Raises:
        sqlite3.Error: as SQLite says it.
    """
    return {name.lower() for name in application_tables(connection)}


def schema_fingerprint(connection: sqlite3.Connection) -> str:
    """SHA-256 in hex over the application's schema.

    It is that of a JSON array of [type, name, tbl_name, sql], sorted, for every row of
    sqlite_schema whose table is the application's. The SQL is taken as stored. Data, VACUUM,
    page size and our own tables do not change it.

    Raises:
        sqlite3.Error: as SQLite says it.
    """
    text = json.dumps(_schema(connection), ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def inspect(database: sqlite3.Connection | Path, keys: Keys | None = None) -> Inspection:
    """Look at a finished file of ours (by path) or at any open connection.

    Reads every table once. One that cannot be read here (its module is missing, or it is damaged)
    has 0 rows and a warning. `keys`: of a file that may be encrypted.

    Raises:
        SQLiteFileError: by path; sqlite3.Error as it is, by connection.
    """
    if not isinstance(database, Path):
        return _inspect(database)
    with closing(open_immutable(database, keys)) as connection:
        try:
            return _inspect(connection)
        except sqlite3.Error as error:
            raise translated(error, database) from error


def sealed(reason: str) -> Inspection:
    """What is known of an encrypted database that no key opens: nothing, and why."""
    return Inspection(
        schema_fingerprint=hashlib.sha256(b"[]").hexdigest(),
        table_count=0,
        row_count=0,
        tables=(),
        schema_version=0,
        page_size=0,
        warnings=(f"nothing inside was checked: {reason}",),
        uncounted=(EVERYTHING,),
    )


def _inspect(connection: sqlite3.Connection) -> Inspection:
    tables: list[TableRows] = []
    uncounted: list[str] = []
    warnings: list[str] = []
    for raw in raw_table_names(connection):
        name = readable(raw)
        if not is_application_table(name):
            continue
        try:
            rows = with_stub_collations(connection, partial(_count_rows, connection, raw))
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF not in _OF_THE_TABLE:
                raise
            rows = 0
            uncounted.append(name)
            warnings.append(f"rows of table {shown(name)} not counted: {shown(error)}")
        tables.append(TableRows(name, rows))
    tables.sort(key=lambda table: table.name)
    return Inspection(
        schema_fingerprint=schema_fingerprint(connection),
        table_count=len(tables),
        row_count=sum(table.rows for table in tables),
        tables=tuple(tables),
        schema_version=int(pragma(connection, "schema_version")),
        page_size=int(pragma(connection, "page_size")),
        warnings=tuple(warnings),
        uncounted=tuple(uncounted),
    )


def _schema(connection: sqlite3.Connection) -> list[SchemaRow]:
    with any_text(connection):
        rows: list[SchemaRow] = connection.execute(
            "SELECT type, name, tbl_name, sql FROM main.sqlite_schema"
        ).fetchall()
    ours = [row for row in rows if is_application_table(row[2]) and is_application_table(row[1])]
    return sorted(ours, key=lambda row: (row[1], row[0], row[2], row[3] or ""))


def _count_rows(connection: sqlite3.Connection, table: bytes) -> int:
    """Count the table itself, not an index: one may be wrong, or need the application."""
    counting = b'SELECT count(*) FROM main."%s" NOT INDEXED' % table.replace(b'"', b'""')
    try:
        sql = counting.decode()
    except UnicodeDecodeError:
        return _count_by_view(connection, counting)
    counted: int = connection.execute(sql).fetchone()[0]
    return counted


def _count_by_view(connection: sqlite3.Connection, counting: bytes) -> int:
    """Run a statement of bytes that Python cannot hand over as text: as a view of our own.

    The view stands in the connection's temporary schema, where a row of any bytes can be put.
    """
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS backup_ledger_scratch (x)")
    connection.execute("PRAGMA writable_schema=ON")
    try:
        connection.execute(
            "INSERT INTO temp.sqlite_master (type, name, tbl_name, rootpage, sql) VALUES ("
            "'view', 'backup_ledger_count', 'backup_ledger_count', 0, CAST(? AS TEXT))",
            (b"CREATE VIEW backup_ledger_count AS " + counting,),
        )
    finally:
        connection.execute("PRAGMA writable_schema=RESET")
    try:
        rows: int = connection.execute("SELECT * FROM temp.backup_ledger_count").fetchone()[0]
    finally:
        connection.execute("DROP VIEW temp.backup_ledger_count")
    return rows
