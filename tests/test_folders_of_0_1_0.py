"""Folders that 0.1.0 left in difficult moments are upgraded, on both databases.

The folders in `golden/0.1.0-*` were written by that version (how: `make_folders_of_0_1_0.txt`
beside them) and are never made anew. Each is first asked, then acted on, then lived with.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from commands.errors import CommandError
from commands.health.facts import status_facts
from commands.scheduler.check import check
from commands.schedules.settings import configure
from commands.site.actors import operator
from commands.site.configuration import Configuration
from commands.site.opening import Mode, open_site
from commands.site.site import Site
from ledger.append.copy import copy_ledger
from ledger.append.database import database_url, open_engine, read_meta
from ledger.append.migrations import migrate
from ledger.append.software import software_version
from ledger.append.stored_tree import TreeReader
from ledger.append.tables import SCHEMA_VERSION
from ledger.clock import ManualClock
from ledger.events.scheduling import BackupAbandoned, BackupCompleted, BackupFailed
from ledger.tree.proofs import root_at
from ledger.verify.verify import verify
from projections.projector.comparison import differences
from projections.tables.columns import backup_catalog, backup_runs, backup_settings
from tests.databases import Databases
from tests.old_tables import as_0_1_0_made_them

GOLDEN = Path(__file__).parent / "golden"
NAMES = ("moved", "mixed", "spread", "open-run", "retry", "zone")
TABLES = {
    backup_settings: "user_id",
    backup_catalog: "backup_id",
    backup_runs: "run_id",
}
COMPUTED = {"next_slot"}
"""What a fold of 0.1.0 asked the time zone database for; it is computed where it is needed now."""

pytestmark = pytest.mark.both_databases


@dataclass
class Folder:
    """One folder, with a database beside it; `expected`: what 0.1.0 said of it."""

    path: Path
    expected: dict[str, Any]
    ledger: str
    models: str
    clock: ManualClock
    sites: list[Site] = field(default_factory=list)

    def open(self, mode: Mode, **options: Any) -> Site:
        configuration = Configuration(
            **{
                "database": self.path / "app.db",
                "backups": self.path / "backups",
                "ledger": self.ledger,
                "projections": self.models,
            }
            | options
        )
        self.sites.append(open_site(configuration, mode, clock=self.clock))
        return self.sites[-1]

    def pass_days(self, site: Site, number: int) -> None:
        for _ in range(number):
            self.clock.advance(timedelta(days=1))
            check(site)


MakeFolder = Callable[[str], Folder]


@pytest.fixture
def folder_of(tmp_path: Path, databases: Databases) -> Iterator[MakeFolder]:
    """A copy of one, as 0.1.0 left it; with its ledger on the database of the test."""
    made: list[Folder] = []

    def make(name: str) -> Folder:
        golden, backups = GOLDEN / f"0.1.0-{name}", tmp_path / "backups"
        backups.mkdir()
        expected = json.loads((golden / "expected.json").read_bytes())
        for each in (*expected["files"], "ledger.sqlite"):
            shutil.copy(golden / each, backups / each)
        shutil.copy(golden / "store", backups / ".store")
        make_table(tmp_path / "app.db", "invoices" if name == "mixed" else "cases")
        ledger = databases.url_of(backups / "ledger.sqlite")
        if databases.name != "sqlite":
            _put_on_server(backups / "ledger.sqlite", ledger)
        models = databases.url_of(backups / "projections.sqlite")
        clock = ManualClock(datetime.fromisoformat(expected["now"]))
        made.append(Folder(tmp_path, expected, ledger, models, clock))
        return made[-1]

    yield make
    for folder in made:
        for site in folder.sites:
            site.close()


def make_table(path: Path, table: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, title TEXT)")
        connection.executemany(f"INSERT INTO {table} (title) VALUES (?)", [("one",)] * 20)
        connection.commit()


def _put_on_server(file: Path, url: str) -> None:
    """The same ledger as 0.1.0 would have it on a server."""
    source, target = open_engine(database_url(f"sqlite:///{file}")), open_engine(database_url(url))
    migrate(source)
    copy_ledger(source, target)
    as_0_1_0_made_them(target)
    for engine in (source, target):
        engine.dispose()
    file.unlink()


def rows(site: Site) -> dict[str, list[dict[str, Any]]]:
    """What the read models say, in the form of what 0.1.0 said."""
    found = {}
    with site.read_models.reading() as connection:
        for table, key in TABLES.items():
            statement = select(table).order_by(table.c[key])
            found[table.name] = [dict(each) for each in connection.execute(statement).mappings()]
    return found


def require_what_0_1_0_said(folder: Folder, site: Site) -> None:
    """Every row and column that it had."""
    found = rows(site)
    for table, expected in folder.expected["rows"].items():
        assert len(found[table]) == len(expected)
        for new, old in zip(found[table], expected, strict=True):
            assert {name: _plain(new[name]) for name in old if name not in COMPUTED} == {
                name: value for name, value in old.items() if name not in COMPUTED
            }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, bool):
        return int(value)
    return json.dumps(value) if isinstance(value, list) else value


def count(site: Site, kind: type) -> int:
    return sum(isinstance(each.event.details, kind) for each in site.ledger.recorded())


@pytest.mark.parametrize("name", NAMES)
def test_a_question_answers_as_0_1_0_did_and_changes_nothing(
    folder_of: MakeFolder, name: str
) -> None:
    """The read models are made by themselves; the ledger and its tables stay as they are."""
    folder = folder_of(name)
    site = folder.open("read")
    require_what_0_1_0_said(folder, site)
    facts = status_facts(site, folder.clock.now())
    assert facts["ledger"]["size"] == folder.expected["size"]
    report = verify(site.ledger.engine)
    assert (report.findings, report.root) == ((), folder.expected["root"])
    assert read_meta(site.ledger.engine).schema_version == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_first_who_acts_brings_it_along(folder_of: MakeFolder, name: str) -> None:
    """Tables and software are noted; no record is touched, and every row says what it said."""
    folder = folder_of(name)
    site = folder.open("act")
    found = read_meta(site.ledger.engine)
    assert (found.schema_version, found.software_version) == (SCHEMA_VERSION, software_version())
    require_what_0_1_0_said(folder, site)
    with site.ledger.engine.connect() as connection:
        root = root_at(folder.expected["size"], TreeReader(connection))
    assert root.hex() == folder.expected["root"]
    assert verify(site.ledger.engine).findings == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["moved", "spread", "open-run", "retry", "zone"])
def test_life_goes_on(folder_of: MakeFolder, name: str) -> None:
    """Three more nights: everybody who can be backed up is, and the proof holds."""
    folder = folder_of(name)
    site = folder.open("act", spread_seconds=3600 if name == "spread" else 0)
    before = count(site, BackupCompleted)
    folder.pass_days(site, 3)
    assert count(site, BackupCompleted) > before
    assert verify(site.ledger.engine).findings == ()
    assert differences(site.read_models, site.ledger) == []
    served = {each["user_id"]: each for each in rows(site)["backup_settings"]}
    assert served[3 if name == "spread" else 1]["last_backup_at"] >= folder.clock.now() - timedelta(
        days=1
    )


def test_a_run_that_0_1_0_left_open_is_given_up_and_taken_again(folder_of: MakeFolder) -> None:
    """Its process is gone; the slot is not."""
    folder = folder_of("open-run")
    site = folder.open("act")
    (open_run,) = (each for each in rows(site)["backup_runs"] if each["outcome"] == "running")
    folder.pass_days(site, 1)
    assert count(site, BackupAbandoned) == 1
    folder.clock.advance(timedelta(hours=2))
    check(site)
    runs = {each["run_id"]: each for each in rows(site)["backup_runs"]}
    assert runs[open_run["run_id"]]["outcome"] == "abandoned"
    again = [each for each in runs.values() if each["user_id"] == open_run["user_id"]]
    assert any(each["outcome"] == "completed" for each in again if each["slot"] >= open_run["slot"])


def test_a_retry_that_was_pending_is_taken(folder_of: MakeFolder) -> None:
    """At its time, as another attempt for the same slot."""
    folder = folder_of("retry")
    site = folder.open("act")
    waiting = {each["user_id"]: each for each in rows(site)["backup_settings"]}
    assert [each["next_attempt"] for each in waiting.values()] == [2, 2]
    folder.clock.move_to(max(each["next_backup_at"] for each in waiting.values()))
    report = check(site)
    assert (report.completed, report.failed) == (2, 0)
    attempts = [each["attempt"] for each in rows(site)["backup_runs"]]
    assert attempts.count(2) == 2
    assert count(site, BackupFailed) == 2


def test_a_spread_user_keeps_the_offset(folder_of: MakeFolder) -> None:
    """The next time is that of the slot and the same stable delay."""
    folder = folder_of("spread")
    site = folder.open("act", spread_seconds=3600)
    before = {each["user_id"]: each["next_backup_at"] for each in rows(site)["backup_settings"]}
    folder.pass_days(site, 2)
    after = {each["user_id"]: each["next_backup_at"] for each in rows(site)["backup_settings"]}
    assert after[3] - before[3] == timedelta(days=2)


def test_a_zone_that_this_machine_does_not_know_stops_nobody_else(folder_of: MakeFolder) -> None:
    """Its user can still be moved to another one."""
    folder = folder_of("zone")
    site = folder.open("act")
    folder.pass_days(site, 1)
    settings = {each["user_id"]: each for each in rows(site)["backup_settings"]}
    assert settings[1]["last_backup_at"] >= folder.clock.now() - timedelta(days=1)
    failed = [each["error_type"] for each in rows(site)["backup_runs"] if each["user_id"] == 2]
    assert [each for each in failed if each is not None] == ["UnknownTimeZone"]
    configure(site, site.context(operator()), 2, {"timezone": "UTC"})
    folder.pass_days(site, 1)
    settings = {each["user_id"]: each for each in rows(site)["backup_settings"]}
    assert settings[2]["last_backup_at"] >= folder.clock.now() - timedelta(days=1)


def test_a_folder_of_two_databases_belongs_to_the_newest(folder_of: MakeFolder) -> None:
    """The other one is refused, with both paths."""
    folder = folder_of("mixed")
    make_table(folder.path / "first.db", "cases")
    with pytest.raises(CommandError, match=r"first\.db"):
        check(folder.open("act", database=folder.path / "first.db"))
    site = folder.open("act")
    assert {each["filename"] for each in rows(site)["backup_catalog"]} == set(
        folder.expected["files"]
    )
    folder.pass_days(site, 1)
    assert verify(site.ledger.engine).findings == ()
