"""What differs between two databases, table by table: rows by primary key, or by rowid.

Both are read in one transaction each, through one connection: the newer one is `main`, the older
one is attached. Values are compared as they are stored, whatever collation their column has.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from commands.sqlite.connections import (
    database_uri,
    open_immutable,
    open_live,
    quoted,
    require_database_file,
)
from commands.sqlite.errors import shown, translated
from commands.sqlite.inspection import is_application_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from commands.sqlite.cipher.keys import Keys

OLD = "backup_ledger_old"
"""The name under which the older database is attached."""
_ROWIDS = ("rowid", "_rowid_", "oid")


@dataclass(frozen=True, slots=True)
class TableForm:
    """A table's columns, without generated ones, and those that say which row is which."""

    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def is_by_rowid(self) -> bool:
        return not set(self.key) <= set(self.columns)


@dataclass(frozen=True, slots=True)
class TableDifference:
    """How many rows were added, removed and changed from the older to the newer database.

    `only_in`: "old" or "new" where the other one has no such table; all its rows count then.
    `columns`: names that only one of the two has; their values are not compared.
    """

    name: str
    added: int = 0
    removed: int = 0
    changed: int = 0
    only_in: str | None = None
    columns: tuple[str, ...] = ()

    @property
    def is_any(self) -> bool:
        found = self.added or self.removed or self.changed or self.columns
        return bool(found) or self.only_in is not None


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row; `before` is None of an added one, `after` of a removed one. Blobs are in hex."""

    key: dict[str, Any]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Every table of the application's, by name, and why a table could not be compared."""

    tables: list[TableDifference] = field(default_factory=list)
    not_compared: dict[str, str] = field(default_factory=dict)


@contextmanager
def comparing(
    old: Path, new: Path, *, live_wait_seconds: float | None, keys: Keys | None = None
) -> Iterator[Comparison]:
    """Open two databases side by side; neither can be changed.

    `live_wait_seconds`: where the newer one is in use, how long to wait for its lock; None where it
    is a finished file. `keys`: of encrypted ones, which are opened with one and the same.

    Raises:
        SQLiteFileError: one of them is missing, damaged, busy, or not to be opened.
    """
    _require_readable(old, keys)
    require_database_file(new)
    wait = live_wait_seconds
    opening = open_immutable(new, keys) if wait is None else open_live(new, wait, keys=keys)
    with closing(opening) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
        try:
            attach(connection, old)
            connection.execute("PRAGMA query_only=ON")
            connection.execute("BEGIN")
            yield Comparison(connection)
        except sqlite3.Error as error:
            raise translated(error, new) from error


def _require_readable(path: Path, keys: Keys | None) -> None:
    """What is wrong with the older one is said by its own name."""
    with closing(open_immutable(path, keys)) as connection:
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.Error as error:
            raise translated(error, path) from error


def attach(connection: sqlite3.Connection, old: Path) -> None:
    """Attach a finished file of ours beside the database that is open."""
    uri = database_uri(old, "mode=ro&immutable=1")
    connection.execute(f"ATTACH ? AS {OLD}", (uri,))


class Comparison:
    """Two databases through one connection: `main` is the newer one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def everything(self) -> Difference:
        """Every table of the application's in either of them.

        Raises:
            sqlite3.Error: a whole database cannot be read.
        """
        found = Difference()
        names = sorted({*tables_of(self.connection, OLD), *tables_of(self.connection, "main")})
        for name in names:
            try:
                found.tables.append(self.table(name))
            except (sqlite3.OperationalError, UnicodeEncodeError, ValueError) as error:
                found.not_compared[name] = shown(error)
        return found

    def table(self, name: str) -> TableDifference:
        """One table.

        Raises:
            ValueError: its primary key is not the same in both.
            sqlite3.Error: it cannot be read here.
        """
        old, new = self.forms(name)
        if old is None or new is None:
            rows = self._number(f"{_named('main' if old is None else OLD, name)}")
            if old is None:
                return TableDifference(name, added=rows, only_in="new")
            return TableDifference(name, removed=rows, only_in="old")
        queries = Queries.of(name, old, new)
        return TableDifference(
            name,
            added=self._number(queries.added),
            removed=self._number(queries.removed),
            changed=self._number(queries.changed),
            columns=tuple(sorted({*old.columns} ^ {*new.columns})),
        )

    def rows(self, name: str, limit: int | None = None) -> Iterator[RowChange]:
        """The rows that differ, at most so many of each kind, in the order of their keys."""
        old, new = self.forms(name)
        if old is None or new is None:
            return
        queries, key = Queries.of(name, old, new), old.key
        for query, before, after in (
            (queries.removed, old, None),
            (queries.added, None, new),
            (queries.changed, old, new),
        ):
            columns = [f"{_AS_TEXT.format(column=f'o.{quoted(each)}')}" for each in _of(before)]
            columns += [f"{_AS_TEXT.format(column=f'n.{quoted(each)}')}" for each in _of(after)]
            side = "o" if before else "n"
            keys = [f"{side}.{quoted(each)}" for each in key]
            selected = ", ".join([*keys, *columns])
            sql = f"SELECT {selected} FROM {query} ORDER BY {', '.join(keys)} LIMIT ?"  # noqa: S608
            for row in self.connection.execute(sql, (-1 if limit is None else limit,)):
                values = iter(row)
                named = {each: _plain(next(values)) for each in key}
                was = {each: next(values) for each in _of(before)} if before else None
                now = {each: next(values) for each in _of(after)} if after else None
                yield _change(named, was, now)

    def forms(self, name: str) -> tuple[TableForm | None, TableForm | None]:
        return form_of(self.connection, OLD, name), form_of(self.connection, "main", name)

    def _number(self, query: str) -> int:
        found: int = self.connection.execute(f"SELECT count(*) FROM {query}").fetchone()[0]  # noqa: S608
        return found


_AS_TEXT = "CASE typeof({column}) WHEN 'blob' THEN 'X''' || hex({column}) || '''' ELSE {column} END"


def _of(form: TableForm | None) -> Sequence[str]:
    return () if form is None else form.columns


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _change(
    key: dict[str, Any], was: dict[str, Any] | None, now: dict[str, Any] | None
) -> RowChange:
    """Of a changed row only the columns that differ."""
    if was is None or now is None:
        return RowChange(key, was, now)
    differing = [each for each in was if each not in now or was[each] != now[each]]
    return RowChange(
        key,
        {each: was[each] for each in differing},
        {each: now[each] for each in differing if each in now},
    )


@dataclass(frozen=True, slots=True)
class Queries:
    """What stands after FROM for the rows of a table that differ: `o` is the old, `n` the new."""

    added: str
    removed: str
    changed: str

    @classmethod
    def of(cls, name: str, old: TableForm, new: TableForm) -> Queries:
        """Raise ValueError where rows of the two cannot be told apart in the same way."""
        if old.key != new.key:
            raise ValueError("its primary key is not the same in both")
        before, after = f"{_named(OLD, name)} AS o", f"{_named('main', name)} AS n"
        same = " AND ".join(f"o.{quoted(each)} IS n.{quoted(each)}" for each in old.key)
        common = [each for each in old.columns if each in new.columns and each not in old.key]
        differs = " OR ".join(
            f"o.{quoted(each)} IS NOT n.{quoted(each)} COLLATE BINARY" for each in common
        )
        return cls(
            added=f"{after} WHERE NOT EXISTS (SELECT 1 FROM {before} WHERE {same})",  # noqa: S608
            removed=f"{before} WHERE NOT EXISTS (SELECT 1 FROM {after} WHERE {same})",  # noqa: S608
            changed=f"{before} CROSS JOIN {after} ON {same} WHERE {differs or '0'}",
        )


def tables_of(connection: sqlite3.Connection, schema: str) -> list[str]:
    """The application's tables in one of the two databases; not the parts of virtual ones."""
    rows = connection.execute(f"SELECT name, type FROM pragma_table_list WHERE schema='{schema}'")  # noqa: S608
    found = [name for name, kind in rows if kind in ("table", "virtual")]
    return sorted(each for each in found if is_application_table(each))


def form_of(connection: sqlite3.Connection, schema: str, name: str) -> TableForm | None:
    """A table's columns and key; None where there is no such table."""
    rows = connection.execute(f"PRAGMA {schema}.table_info({quoted(name)})").fetchall()
    if not rows:
        return None
    columns = tuple(row[1] for row in rows)
    key = tuple(row[1] for row in sorted(rows, key=lambda row: row[5]) if row[5])
    if not key:
        lower = {each.lower() for each in columns}
        key = tuple(each for each in _ROWIDS if each not in lower)[:1]
    return TableForm(columns, key)


def _named(schema: str, name: str) -> str:
    return f"{schema}.{quoted(name)}"
