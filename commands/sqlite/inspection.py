"""What a SQLite file holds: its schema's fingerprint, tables, rows, and whether it is sound."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from commands.sqlite.connections import open_immutable
from commands.sqlite.errors import shown, translated
from commands.sqlite.files import sha256_of

__all__ = [
    "OUR_TABLES",
    "OUR_TABLE_PREFIX",
    "Inspection",
    "TableRows",
    "application_tables",
    "check_integrity",
    "inspect",
    "integrity_problems",
    "is_application_table",
    "open_immutable",
    "schema_fingerprint",
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

CHECK_CACHE_KIB = 64 * 1024  # integrity_check looks up index entries at random
DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

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


def inspect(database: sqlite3.Connection | Path) -> Inspection:
    """Look at a finished file of ours (by path) or at any open connection.

    Reads every table once. A virtual table whose module is not there has 0 rows and a warning.

    Raises:
        SQLiteFileError: by path; sqlite3.Error as it is, by connection.
    """
    if isinstance(database, sqlite3.Connection):
        return _inspect(database)
    with closing(open_immutable(database)) as connection:
        try:
            return _inspect(connection)
        except sqlite3.Error as error:
            raise translated(error, database) from error


def integrity_problems(connection: sqlite3.Connection, limit: int = 10) -> list[str]:
    """What PRAGMA integrity_check finds, at most `limit` findings; none when sound.

    Raises:
        sqlite3.Error: anything but damage, as busy or out of memory.
    """
    return check_integrity(connection, limit)[0]


def check_integrity(connection: sqlite3.Connection, limit: int = 10) -> tuple[list[str], list[str]]:
    """Findings of PRAGMA integrity_check, and warnings on what it could not look at.

    A schema may need functions or collations that only the application has. SQLite then refuses
    the whole check; so each table is checked by itself, and those that cannot be are named.
    (Through a read-only connection CHECK constraints are not looked at: SQLite leaves them out.)

    Raises:
        sqlite3.Error: anything but damage, as busy or out of memory.
    """
    connection.execute(f"PRAGMA cache_size=-{CHECK_CACHE_KIB}")
    try:
        return _run_check(connection, f"integrity_check({int(limit)})"), []
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_ERROR:
            raise
        problems, warnings = _check_each_table(connection)
        warnings.insert(0, f"checked table by table, not as a whole: {shown(error)}")
        return problems[:limit], warnings


def _check_each_table(connection: sqlite3.Connection) -> tuple[list[str], list[str]]:
    problems: list[str] = []
    warnings: list[str] = []
    for (name,) in connection.execute("SELECT name FROM main.sqlite_schema WHERE type='table'"):
        quoted = name.replace("'", "''")
        for check in ("integrity_check", "quick_check"):
            try:
                problems += _run_check(connection, f"{check}('{quoted}')")
            except sqlite3.OperationalError as error:
                if check == "quick_check":
                    warnings.append(f"table {shown(name)} not checked: {shown(error)}")
            else:
                break
    return problems, warnings


def _run_check(connection: sqlite3.Connection, pragma: str) -> list[str]:
    try:
        with _any_text(connection):
            rows = connection.execute(f"PRAGMA main.{pragma}").fetchall()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in DAMAGE_CODES:
            raise
        return [str(error)]
    return [] if rows == [("ok",)] else [str(row[0]) for row in rows]


def _inspect(connection: sqlite3.Connection) -> Inspection:
    virtual = {
        name
        for kind, name, _, sql in _schema(connection)
        if kind == "table" and (sql or "").upper().startswith("CREATE VIRTUAL")
    }
    tables: list[TableRows] = []
    warnings: list[str] = []
    for name in application_tables(connection):
        try:
            rows = _count_rows(connection, name)
        except sqlite3.Error as error:
            if name not in virtual:
                raise
            rows = 0
            warnings.append(f"rows of virtual table {shown(name)} not counted: {shown(error)}")
        tables.append(TableRows(name, rows))
    return Inspection(
        schema_fingerprint=schema_fingerprint(connection),
        table_count=len(tables),
        row_count=sum(table.rows for table in tables),
        tables=tuple(tables),
        schema_version=_pragma(connection, "schema_version"),
        page_size=_pragma(connection, "page_size"),
        warnings=tuple(warnings),
    )


def _schema(connection: sqlite3.Connection) -> list[SchemaRow]:
    with _any_text(connection):
        rows: list[SchemaRow] = connection.execute(
            "SELECT type, name, tbl_name, sql FROM main.sqlite_schema"
        ).fetchall()
    ours = [row for row in rows if is_application_table(row[2]) and is_application_table(row[1])]
    return sorted(ours, key=lambda row: (row[1], row[0], row[2], row[3] or ""))


def _count_rows(connection: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    counted: int = connection.execute(f'SELECT count(*) FROM main."{quoted}"').fetchone()[0]  # noqa: S608 - quoted
    return counted


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA main.{name}").fetchone()[0]
    return value


@contextmanager
def _any_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Names and findings may hold bytes that are no UTF-8; they must not stop us."""
    before = connection.text_factory
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    try:
        yield
    finally:
        connection.text_factory = before
