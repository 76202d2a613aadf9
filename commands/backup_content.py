"""Whether a finished file of ours holds a sound database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from commands.sqlite_connections import open_immutable
from commands.sqlite_errors import SQLiteFileError, shown
from commands.sqlite_inspection import integrity_problems

if TYPE_CHECKING:
    from pathlib import Path


def content_problem(path: Path) -> str | None:
    """What SQLite finds wrong with a file that nobody writes; None where all is well."""
    try:
        with closing(open_immutable(path)) as connection:
            problems = integrity_problems(connection)
    except (SQLiteFileError, sqlite3.Error) as error:
        return shown(error)
    return "; ".join(shown(each) for each in problems) or None
