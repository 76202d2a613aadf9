"""A folder with an application's database, and the command line in it."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from commands.cli.app import app
from commands.schedules.settings import configure
from commands.site.actors import operator
from commands.site.configuration import load_configuration
from commands.site.opening import open_site
from commands.site.site import Site
from ledger.append.ledger import Draft
from ledger.clock import Clock, ManualClock
from ledger.events.housekeeping import ProjectionRebuilt

PROGRAM = Path(sys.executable).with_name("backup-ledger")
COMMAND = get_command(app)
"""Made once, and each command once when it is first run: making takes longer than most runs."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The lines of `audit log --json`."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Place:
    """One application: `app.db`, and `backups` beside it."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "app.db"

    @property
    def backups(self) -> Path:
        return self.folder / "backups"

    @property
    def ledger(self) -> Path:
        return self.backups / "ledger.sqlite"

    @property
    def environment(self) -> dict[str, str]:
        return {"BACKUP_LEDGER_DATABASE": str(self.database), "COLUMNS": "80"}

    def run(self, *args: str, **environment: str | None) -> Ended:
        """The command in this process: quicker, and the same code from `main` on.

        `environment`: variables beside those of the place; None for one that is not set.
        """
        with CliRunner().isolation(env=self.environment | environment) as (out, err, _):
            try:
                COMMAND.main(args, prog_name=PROGRAM.name)
            except SystemExit as ended:
                code = ended.code
            sys.stdout.flush()
            sys.stderr.flush()
            return Ended(int(code or 0), out.getvalue().decode(), err.getvalue().decode())

    def done(self, *args: str, **environment: str | None) -> Ended:
        """The same, for what must succeed."""
        ended = self.run(*args, **environment)
        assert ended.code == 0, f"{args}: {ended}"
        return ended

    def json(self, *args: str, **environment: str) -> Any:
        """What a command says with --json, and nothing else on stdout."""
        return self.done(*args, "--json", **environment).json

    def spawn(self, *args: str, **environment: str) -> Ended:
        """The real command, as a person's shell starts it."""
        ended = subprocess.run(
            [PROGRAM, *args],
            env=os.environ | self.environment | environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        )
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    @contextmanager
    def opened(self, clock: Clock | None = None) -> Iterator[Site]:
        """The site, for what the command line cannot do."""
        configuration = load_configuration(database=self.database)
        site = open_site(configuration, "begin", clock=clock)
        try:
            yield site
        finally:
            site.close()

    def schedule(self, user_id: int, at: datetime, **changes: Any) -> None:
        """Settings that were made some time ago, so that runs are due by now."""
        with self.opened(ManualClock(at)) as site:
            configure(site, site.context(operator()), user_id, changes)

    def fill_ledger(self, count: int) -> None:
        """So many events of no consequence."""
        rebuilt = ProjectionRebuilt(name="none", version=1, position=0, rows=0, reason="filling")
        with self.opened() as site:
            site.ledger.append(
                site.context(operator()), *(Draft("ledger", rebuilt) for _ in range(count))
            )

    def events(self) -> list[dict[str, Any]]:
        """The ledger's records, read without any of our code; none where there is no ledger."""
        if not self.ledger.exists():
            return []
        with closing(sqlite3.connect(self.ledger)) as connection:
            rows = connection.execute("SELECT record FROM ledger_events ORDER BY position")
            return [json.loads(record) for (record,) in rows]

    def types(self) -> list[str]:
        return [event["event_type"] for event in self.events()]

    def files(self) -> dict[str, str]:
        """Every file of the application's and every backup, by its content."""
        found = [self.database, *self.backups.glob("*.db")] if self.folder.exists() else []
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in found
            if path.is_file()
        }

    def count_cases(self, path: Path | None = None) -> int:
        with closing(sqlite3.connect(path or self.database)) as connection:
            counted: int = connection.execute("SELECT count(*) FROM cases").fetchone()[0]
            return counted

    def add_cases(self, count: int) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            rows = [(f"case {number}",) for number in range(count)]
            connection.executemany("INSERT INTO cases (title) VALUES (?)", rows)
            connection.commit()


FAILED, USAGE, NOT_FOUND, CONFLICT = 1, 2, 4, 5


def require_clear(ended: Ended, code: int, says: str) -> None:
    """The right code; one line on stderr that names the thing; nothing on stdout."""
    assert ended.code == code, ended
    assert ended.err.startswith("Error: "), ended
    assert ended.err.count("\n") == 1, ended
    assert ended.err.rstrip("\n").isprintable(), ended
    assert says in ended.err, ended
    assert "Traceback" not in ended.err, ended
    assert "--debug" not in ended.err, f"nobody expected this: {ended}"
    assert ended.out == "", ended


def make_database(path: Path, cases: int = 20) -> None:
    """A small application's database in WAL mode, as most are."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE cases (id INTEGER PRIMARY KEY, title TEXT NOT NULL)")
        rows = [(f"case {number}",) for number in range(cases)]
        connection.executemany("INSERT INTO cases (title) VALUES (?)", rows)
        connection.commit()
