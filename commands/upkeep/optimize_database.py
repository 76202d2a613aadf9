"""Space back to the disk, statistics for SQLite: VACUUM and ANALYZE of the live database."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.sqlite.connections import open_live, require_database_file
from commands.sqlite.errors import NotEnoughSpace, translated
from commands.sqlite.inspection import Inspection, inspect
from ledger.append.ledger import Draft
from ledger.events.housekeeping import SourceOptimized
from ledger.vocabulary import LEDGER_STREAM

if TYPE_CHECKING:
    from commands.site.site import Site
    from ledger.append.ledger import Context


@dataclass(frozen=True, slots=True)
class Optimized:
    """Bytes of the database's file before and after."""

    size_before: int
    size_after: int


def optimize_database(site: Site, context: Context) -> Optimized:
    """Rewrite the database without its gaps; writers are waited for, and wait.

    Raises:
        SourceMissing, NotADatabase: there is nothing to optimize.
        NotEnoughSpace: SQLite needs twice the database's size for it.
        DatabaseBusy: the database stayed locked; it is as it was.
    """
    path = site.database
    before = require_database_file(path).st_size
    free = site.free_bytes(path.parent)
    if free < 2 * before:
        raise NotEnoughSpace(
            f"optimizing needs {2 * before} bytes, and {free} are free; free some, try again"
        )
    source = site.source_id(context)
    wait = site.configuration.restore_wait_seconds
    with closing(open_live(path, wait, keys=site.keys)) as connection:
        try:
            connection.execute("VACUUM")
            connection.execute("ANALYZE")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            raise translated(error, path) from error
    after = os.stat(path).st_size
    details = SourceOptimized(source=source, size_before=before, size_after=after)
    site.notify(site.ledger.append(context, Draft(LEDGER_STREAM, details)))
    return Optimized(before, after)


def inspect_database(site: Site) -> Inspection:
    """What the live database holds; reads every table once.

    Raises:
        SQLiteFileError: it is not there, or cannot be read.
    """
    path = site.database
    require_database_file(path)
    wait = site.configuration.snapshot_wait_seconds
    with closing(open_live(path, wait, "ro", site.keys)) as connection:
        try:
            return inspect(connection)
        except sqlite3.Error as error:
            raise translated(error, path) from error
