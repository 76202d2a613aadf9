"""Names of users: a column of the application's own `users` table, where `user_name_column` is set.

They are read when they are shown and kept nowhere: no event, read model or log has one.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from commands.errors import InvalidArgument
from commands.sqlite.connections import open_live, quoted
from commands.sqlite.errors import SQLiteFileError, translated
from ledger.append.batched import batched

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from commands.site.site import Site

WAIT_SECONDS = 0.5
"""A page shows numbers rather than wait for whoever locks the application's database."""
MAX_NAME = 100
MAX_FOUND = 200


def user_names(site: Site, user_ids: Collection[int | None]) -> dict[int, str]:
    """The names of these users, as far as they can be read now: a page is shown without them."""
    column = site.configuration.user_name_column
    wanted = sorted({each for each in user_ids if each is not None})
    if column is None or not wanted:
        return {}
    found: dict[int, str] = {}
    try:
        for batch in batched(wanted):
            marks = ", ".join("?" * len(batch))
            sql = f"SELECT id, {quoted(column)} FROM users WHERE id IN ({marks})"  # noqa: S608
            rows = _read(site, sql, batch)
            found |= {int(number): str(name)[:MAX_NAME] for number, name in rows if name}
    except SQLiteFileError:
        return found
    return found


def users_named(site: Site, text: str) -> list[int]:
    """The users who have this text in their names, upper and lower case alike (of ASCII).

    Raises:
        InvalidArgument: users have no names here, they cannot be read now, or too many match.
    """
    column = site.configuration.user_name_column
    if column is None:
        raise InvalidArgument(
            f"{text!r} is not the number of a user; to search by name, set user_name_column to a "
            "column of the application's table users"
        )
    name = quoted(column)
    pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    sql = f"SELECT id FROM users WHERE {name} LIKE ? ESCAPE '\\' ORDER BY id LIMIT ?"  # noqa: S608
    try:
        found = [int(row[0]) for row in _read(site, sql, (pattern, MAX_FOUND + 1))]
    except SQLiteFileError as error:
        raise InvalidArgument(f"users' names cannot be read now ({error}); give a number") from None
    if len(found) > MAX_FOUND:
        raise InvalidArgument(f"more than {MAX_FOUND} users match {text!r}; type more of the name")
    return found


def _read(site: Site, sql: str, values: Collection[Any]) -> list[tuple[Any, ...]]:
    path = site.database
    with closing(open_live(path, WAIT_SECONDS, keys=site.keys)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        try:
            return connection.execute(sql, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise translated(error, path) from error
