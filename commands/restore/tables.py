"""Some tables of a backup, put back into the live database in one transaction.

in_place: rows of the backup are put in place by primary key (or rowid); rows added since stay.
exact: rows added since are removed as well. beside: they are written to `<table>_restored`.
A table that the database no longer has is made again, with its indexes and triggers.

The transaction raises SQLite's schema counter by exactly one, so that after a kill recovery can
tell whether it took place.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.errors import BackupNotFound, InvalidArgument, Refused, TargetExists
from commands.restore.difference import (
    OLD,
    Comparison,
    Queries,
    TableDifference,
    TableForm,
    attach,
    comparing,
    form_of,
    tables_of,
)
from commands.sqlite.connections import open_live, quoted
from commands.sqlite.errors import shown, translated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from commands.sqlite.cipher.keys import Keys
    from ledger.vocabulary import TableMode

SUFFIX = "_restored"
MAX_TABLES = 100
_CREATED = re.compile(
    r"CREATE TABLE (?:\"(?:[^\"]|\"\")*\"|\[[^\]]*\]|`(?:[^`]|``)*`|'(?:[^']|'')*'|[^\s(]+)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class TablesWanted:
    """Which tables, and how."""

    names: tuple[str, ...]
    mode: TableMode


@dataclass(frozen=True, slots=True)
class TableOutcome:
    """What is done to one table. `is_new`: it is made, as the database does not have it."""

    table: str
    rows_added: int
    rows_changed: int
    rows_removed: int
    is_new: bool = False


def plan_tables(
    target: Path,
    content: Path,
    wanted: TablesWanted,
    wait_seconds: float,
    keys: Keys | None = None,
) -> list[TableOutcome]:
    """What putting the tables back would do; changes nothing.

    Raises:
        BackupNotFound: the backup has no such table.
        InvalidArgument: a table cannot be put back in this way.
        TargetExists: beside: there is such a table already.
        SQLiteFileError: one of the files cannot be read.
    """
    with comparing(content, target, live_wait_seconds=wait_seconds, keys=keys) as comparison:
        return _planned(comparison, wanted)


def restore_tables(
    target: Path,
    content: Path,
    wanted: TablesWanted,
    wait_seconds: float,
    keys: Keys | None = None,
) -> list[TableOutcome]:
    """Put the tables back: all of them, or nothing.

    Raises:
        Refused: a constraint, a trigger or a foreign key of the application is in the way.
        The rest as `plan_tables`.
    """
    with closing(open_live(target, wait_seconds, keys=keys)) as connection:
        try:
            connection.execute("PRAGMA synchronous=FULL")
            attach(connection, content)
            connection.execute("BEGIN IMMEDIATE")
            before = _pragma(connection, "schema_version")
            orphans = _orphans(connection)
            outcomes = _planned(Comparison(connection), wanted)
            for each in outcomes:
                _put_back(connection, each, wanted.mode)
            _require_whole(connection, outcomes, wanted.mode, orphans)
            connection.execute(f"PRAGMA main.schema_version={before + 1}")
            connection.execute("COMMIT")
        except sqlite3.IntegrityError as error:
            raise Refused(
                f"a constraint of the database is in the way ({shown(error)}); nothing was "
                "changed. Put back the other tables that belong to it as well, or use --beside"
            ) from error
        except sqlite3.Error as error:
            raise translated(error, target) from error
        return outcomes


def _planned(comparison: Comparison, wanted: TablesWanted) -> list[TableOutcome]:
    if len(wanted.names) > MAX_TABLES:
        raise InvalidArgument(f"give at most {MAX_TABLES} tables, or restore the whole backup")
    return [_plan_one(comparison, each, wanted.mode) for each in dict.fromkeys(wanted.names)]


def _plan_one(comparison: Comparison, name: str, mode: TableMode) -> TableOutcome:
    connection = comparison.connection
    there = tables_of(connection, OLD)
    if name not in there:
        names = ", ".join(there[:20]) or "none"
        raise BackupNotFound(f"the backup has no table {name!r}; it has {shown(names)}")
    if _kind(connection, name) == "virtual":
        raise InvalidArgument(
            f"table {name!r} is virtual; restore the tables that it is made from, or the backup"
        )
    old, new = comparison.forms(name)
    assert old is not None
    if mode == "beside":
        if form_of(connection, "main", name + SUFFIX) is not None:
            raise TargetExists(
                f"there is a table {name + SUFFIX!r} already; drop it or give it another name"
            )
        return TableOutcome(name + SUFFIX, _rows(connection, name), 0, 0, is_new=True)
    if new is None:
        return TableOutcome(name, _rows(connection, name), 0, 0, is_new=True)
    if set(old.columns) != set(new.columns) or old.key != new.key:
        raise InvalidArgument(
            f"the columns of table {name!r} are not those of the backup; use --beside, and take "
            "over what you need"
        )
    found: TableDifference = comparison.table(name)
    removed = found.added if mode == "exact" else 0
    return TableOutcome(name, found.removed, found.changed, removed)


def _put_back(connection: sqlite3.Connection, outcome: TableOutcome, mode: TableMode) -> None:
    source = outcome.table.removesuffix(SUFFIX) if mode == "beside" else outcome.table
    old = form_of(connection, OLD, source)
    assert old is not None
    if outcome.is_new:
        _make(connection, source, outcome.table)
        _insert(connection, outcome.table, old, f"{OLD}.{quoted(source)} AS o")
        if mode != "beside":
            _make_parts(connection, source)
        return
    queries, table = Queries.of(source, old, old), f"main.{quoted(source)}"
    keys = ", ".join(quoted(each) for each in old.key)
    chosen = ", ".join(f"n.{quoted(each)}" for each in old.key)
    if mode == "exact":
        _delete(connection, table, keys, f"SELECT {chosen} FROM {queries.added}")  # noqa: S608
    # Changed rows go and come, so that values of unique columns can change places.
    _delete(connection, table, keys, f"SELECT {chosen} FROM {queries.changed}")  # noqa: S608
    _insert(connection, source, old, queries.removed)


def _delete(connection: sqlite3.Connection, table: str, keys: str, chosen: str) -> None:
    connection.execute(f"DELETE FROM {table} WHERE ({keys}) IN ({chosen})")  # noqa: S608


def _insert(connection: sqlite3.Connection, target: str, form: TableForm, rows: str) -> None:
    columns = [*form.key, *form.columns] if form.is_by_rowid else [*form.columns]
    into = ", ".join(quoted(each) for each in columns)
    values = ", ".join(f"o.{quoted(each)}" for each in columns)
    connection.execute(
        f"INSERT INTO main.{quoted(target)} ({into}) SELECT {values} FROM {rows}"  # noqa: S608
    )


def _make(connection: sqlite3.Connection, source: str, target: str) -> None:
    """A table of the backup under a name of ours; SQLite stores `CREATE TABLE`, then the name."""
    (sql,) = connection.execute(
        f"SELECT sql FROM {OLD}.sqlite_schema WHERE type='table' AND name=?",  # noqa: S608
        (source,),
    ).fetchone()
    made, count = _CREATED.subn(lambda _found: f"CREATE TABLE main.{quoted(target)}", sql, count=1)
    assert count == 1
    connection.execute(made)


def _make_parts(connection: sqlite3.Connection, name: str) -> None:
    """The indexes and triggers of a table that was made again."""
    rows = connection.execute(
        f"SELECT sql FROM {OLD}.sqlite_schema WHERE type IN ('index', 'trigger') AND tbl_name=? "  # noqa: S608
        "AND sql IS NOT NULL ORDER BY type",
        (name,),
    ).fetchall()
    for (sql,) in rows:
        connection.execute(sql)


def _require_whole(
    connection: sqlite3.Connection,
    outcomes: Sequence[TableOutcome],
    mode: TableMode,
    orphans: set[tuple[object, ...]],
) -> None:
    """See that the rows are there as they were, and that none lost the row it refers to."""
    comparison = Comparison(connection)
    for each in outcomes if mode != "beside" else ():
        found = comparison.table(each.table)
        if found.removed or found.changed or (mode == "exact" and found.added):
            raise Refused(
                f"a trigger of the database changed table {each.table!r} meanwhile; nothing was "
                "changed. Use --beside, and take over what you need"
            )
    lost = _orphans(connection) - orphans
    if lost:
        table, parent = min((str(row[0]), str(row[2])) for row in lost)
        raise Refused(
            f"{len(lost)} rows would refer to rows that are not there, such as of {table!r} to "
            f"{parent!r}; nothing was changed. Give these tables with --table as well, or use "
            "--beside"
        )


def _orphans(connection: sqlite3.Connection) -> set[tuple[object, ...]]:
    """Rows that refer to none; none are known where the schema itself is at odds."""
    try:
        return set(connection.execute("PRAGMA main.foreign_key_check").fetchall())
    except sqlite3.OperationalError:
        return set()


def _kind(connection: sqlite3.Connection, name: str) -> str:
    found: str = connection.execute(
        f"SELECT type FROM pragma_table_list WHERE schema='{OLD}' AND name=?",  # noqa: S608
        (name,),
    ).fetchone()[0]
    return found


def _rows(connection: sqlite3.Connection, name: str) -> int:
    found: int = connection.execute(f"SELECT count(*) FROM {OLD}.{quoted(name)}").fetchone()[0]  # noqa: S608
    return found


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    found: int = connection.execute(f"PRAGMA main.{name}").fetchone()[0]
    return found
