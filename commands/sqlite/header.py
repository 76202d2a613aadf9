"""A first look at a database that others may be using: is it one at all?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from commands.sqlite.connections import (
    is_encrypted,
    open_immutable,
    pragma,
    require_database_file,
)
from commands.sqlite.errors import SQLiteFileError, shown, translated

if TYPE_CHECKING:
    from pathlib import Path

SMALLEST_PAGE = 512
"""Bytes; SQLite takes a shorter file for an empty database, and so would nobody else."""

_LOOKS = 3
"""A checkpoint may be writing the first page while we read it."""


def header_problem(path: Path) -> str | None:
    """What is wrong with a database's file at first sight: header and length; None if nothing.

    It is opened through SQLite (closing a plain descriptor would drop the locks that this process
    holds on it), without a lock, and nothing beside it is made or touched.
    """
    problem = None
    for _ in range(_LOOKS):
        problem = _problem(path)
        if problem is None:
            return None
    return problem


def _problem(path: Path) -> str | None:
    try:
        if require_database_file(path).st_size < SMALLEST_PAGE:
            return f"{shown(path)} is too short to be a SQLite database; check the path"
        if is_encrypted(path):
            return None  # its pages have no header
        with closing(open_immutable(path)) as connection:
            pragma(connection, "schema_version")
    except SQLiteFileError as error:
        return str(error)
    except sqlite3.Error as error:
        return str(translated(error, path))
    return None
