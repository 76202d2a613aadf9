"""A real database, its backups folder and ledger, and a clock that moves when it is told to."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from commands.scheduler.check import CheckReport, check
from commands.schedules.settings import configure
from commands.site import actors
from commands.site.configuration import Configuration
from commands.site.opening import Mode, open_site
from commands.site.site import Site
from ledger.append.ledger import Context, Ledger, RecordedEvent
from ledger.clock import Clock, ManualClock
from ledger.events import Details
from projections.folds.backup import Backup
from projections.folds.schedule import Schedule
from projections.queries.catalog import backups_of_store
from projections.queries.schedules import schedule_of

MIDNIGHT = datetime(2025, 1, 1, tzinfo=UTC)
Kind = TypeVar("Kind", bound=Details)


def make_database(path: Path, rows: int = 20, *, users: int = 0) -> Path:
    """A small application's database in WAL mode; with `users`, a table of so many users."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE cases (id INTEGER PRIMARY KEY, title TEXT)")
        titles = [(f"case {number}",) for number in range(rows)]
        connection.executemany("INSERT INTO cases (title) VALUES (?)", titles)
        if users:
            connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
            ids = [(number,) for number in range(1, users + 1)]
            connection.executemany("INSERT INTO users VALUES (?)", ids)
        connection.commit()
    return path


def titles_in(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT title FROM cases ORDER BY id")]


def add_case(path: Path, title: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO cases (title) VALUES (?)", (title,))
        connection.commit()


def fill_cases(path: Path, rows: int) -> None:
    """Leave so many rows in the application's table; none: somebody deleted them all."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM cases")
        titles = [(f"case {number}",) for number in range(rows)]
        connection.executemany("INSERT INTO cases (title) VALUES (?)", titles)
        connection.commit()


def make_flawed(path: Path) -> None:
    """The application has a NOCASE of its own: its index is wrong to anybody else."""
    with closing(sqlite3.connect(path)) as connection:
        connection.create_collation("NOCASE", lambda one, other: (one < other) - (one > other))
        connection.execute("CREATE INDEX by_title ON cases (title COLLATE nocase)")
        connection.commit()


def break_database(path: Path) -> None:
    """The database is gone."""
    path.write_bytes(b"this is not a database " * 100)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@dataclass
class World:
    """One folder with a database and its backups."""

    folder: Path
    clock: Clock
    options: dict[str, Any] = field(default_factory=dict)
    sites: list[Site] = field(default_factory=list)

    @property
    def database(self) -> Path:
        return self.folder / "app.db"

    @property
    def backups(self) -> Path:
        return self.folder / "backups"

    @property
    def manual(self) -> ManualClock:
        assert isinstance(self.clock, ManualClock)
        return self.clock

    @property
    def site(self) -> Site:
        """The site opened last; opened now where there is none."""
        return self.sites[-1] if self.sites else self.open()

    def open(self, mode: Mode = "begin", **options: Any) -> Site:
        """One more process's worth of site on the same folder."""
        chosen = {"database": self.database} | self.options | options
        self.sites.append(open_site(Configuration(**chosen), mode, clock=self.clock))
        return self.sites[-1]

    def reopen(self) -> Site:
        """As after the process ended and another one began."""
        self.close()
        return self.open("act")

    def close(self) -> None:
        for site in self.sites:
            site.close()
        self.sites.clear()

    def context(self) -> Context:
        return self.site.context(actors.operator())

    def configure(self, user_id: int = 1, **changes: Any) -> Schedule:
        return configure(self.site, self.context(), user_id, changes)

    def advance(self, **step: float) -> None:
        self.manual.advance(timedelta(**step))

    def move_to(self, moment: datetime) -> None:
        self.manual.move_to(moment)

    def check(self) -> CheckReport:
        return check(self.site)

    def schedule(self, user_id: int = 1) -> Schedule:
        with self.site.read_models.reading() as connection:
            found = schedule_of(connection, user_id)
        assert found is not None
        return found

    def due_again(self, user_id: int = 1) -> None:
        """Wait until the user's next run is due."""
        due = self.schedule(user_id).next_backup_at
        assert due is not None
        self.move_to(max(due, self.clock.now()))

    def recorded(self, kind: type[Kind]) -> list[Kind]:
        """The details of every event of a type, in ledger order."""
        return [each.details for each in self.events_of(kind)]  # type: ignore[misc]

    def events_of(self, kind: type[Details]) -> list[Any]:
        """Every event of a type, in ledger order."""
        return [each.event for each in self.all_events() if isinstance(each.event.details, kind)]

    def all_events(self, after: int = 0) -> list[RecordedEvent]:
        return list(self.site.ledger.recorded(after=after))

    @contextmanager
    def watched(self) -> Iterator[list[str]]:
        """The types of what is appended within the block, in order, once it is left."""
        before = self.site.ledger.log_recorder.head().size
        types: list[str] = []
        try:
            yield types
        finally:
            types += [each.event.event_type for each in self.all_events(before)]

    def present(self, user_id: int | None = None) -> list[Backup]:
        """What the catalog says is there, newest first."""
        site = self.site
        with site.read_models.reading() as connection:
            found = backups_of_store(connection, site.store.store_id)
        return [each for each in found if user_id in (None, each.user_id)]

    def files(self) -> set[str]:
        """Backup files in the folder."""
        return {path.name for path in self.backups.glob("*.db")}

    def staged(self) -> list[str]:
        """What is left in staging besides locks."""
        found = (self.backups / ".staging").rglob("*")
        return [path.name for path in found if path.is_file() and path.name != "lock"]


@contextmanager
def counted_appends() -> Iterator[list[int]]:
    """How many events each append of any ledger has, in order; of a decision against one, 0."""
    counts: list[int] = []
    decide = Ledger.decide_with_result

    def counted(ledger: Ledger, *arguments: Any, **options: Any) -> tuple[list[RecordedEvent], Any]:
        recorded, result = decide(ledger, *arguments, **options)
        counts.append(len(recorded))
        return recorded, result

    Ledger.decide_with_result = counted  # type: ignore[method-assign]
    try:
        yield counts
    finally:
        Ledger.decide_with_result = decide  # type: ignore[method-assign]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
