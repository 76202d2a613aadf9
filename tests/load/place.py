"""A folder with a long ledger whose backups are there: each has a file, a name and an owner."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert

from commands.backups.take import take_backup
from commands.site.actors import operator
from commands.site.configuration import Configuration
from commands.site.opening import begin, open_site
from commands.upkeep.tokens import create_token
from ledger.append.database import open_engine
from ledger.append.ledger import Ledger
from ledger.append.tables import names
from ledger.clock import ManualClock, SystemClock
from tests.benchmarks.years_of_use import Use, YearsOfUse
from tests.commands.world import make_database

_SOUND = {
    "condition": "ok",
    "collapsed_from": None,
    "cipher": None,
    "findings": [],
    "unchecked": [],
    "warnings": [],
}
LINKS_EACH = 10_000
"""Names of one file; a file system has a limit."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is to be there."""

    events: int
    users: int
    kept: int

    @property
    def days(self) -> int:
        """How long it takes until there are so many, about: the last one is yesterday."""
        each_day = self.events // self.users
        full = 1 + 4 * self.kept
        return 1 + (self.kept + (each_day - full) // 6 if each_day > full else each_day // 4)


class Files:
    """The backups' files: copies of one backup, each with many names."""

    def __init__(self, backup: Path, samples: Path) -> None:
        self._backup = backup
        self._samples = samples
        self._links = 0

    def publish(self, filename: str) -> None:
        sample = self._samples / f"{self._links // LINKS_EACH}.db"
        if not sample.exists():
            self._samples.mkdir(exist_ok=True)
            shutil.copyfile(self._backup, sample)
        self._links += 1
        os.link(sample, self._backup.with_name(filename))

    def unlink(self, filename: str) -> None:
        self._backup.with_name(filename).unlink()


def build(folder: Path, size: Size) -> tuple[int, str]:
    """Make it where it is not there; the ledger's size and a token of an operator."""
    configuration = Configuration(database=folder / "app.db")
    if not configuration.database_path.exists():
        _make(configuration, size)
    site = open_site(configuration, "act")
    token, _ = create_token(site, site.context(operator()), "operator")
    site.catch_up()
    events = site.ledger.log_recorder.head().size
    site.close()
    return events, token


def _make(configuration: Configuration, size: Size) -> None:
    database = configuration.database_path
    make_database(database, users=size.users)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE users ADD COLUMN name TEXT")
        connection.execute("UPDATE users SET name = 'Person ' || id")
        connection.commit()
    clock = ManualClock(SystemClock().now() - timedelta(days=size.days))
    begin(configuration, clock)
    site = open_site(configuration, "act", clock=clock)
    first = take_backup(site, site.context(operator()), filename="first")
    files = Files(site.store.path(first.filename), database.parent / "samples")
    fields = {"store": first.store, "source": first.source, "sha256": first.sha256}
    site.close()
    fields |= {"size": first.size, **_SOUND}
    use = Use(size.kept, clock.now(), fields, files.publish, files.unlink)
    ledger = Ledger(open_engine(configuration.ledger_url), clock)
    written = YearsOfUse(ledger, clock, size.users, use)
    written.write(size.events)
    rows = [
        {"store": first.store, "filename": filename, "backup_id": backup_id}
        for backup_id, filename in written.present()
    ]
    with ledger.engine.begin() as connection:  # it was written past what keeps them
        connection.execute(insert(names), rows)
    ledger.close()
