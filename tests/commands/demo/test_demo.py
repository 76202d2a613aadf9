"""The demo, lived through for real: once for all the tests that look at what it left."""

from __future__ import annotations

import io
import shlex
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from commands.demo import run_demo
from commands.demo.clock import LivedClock
from commands.demo.folder import FolderTaken, demo_folder
from commands.demo.office import demo_configuration
from commands.demo.proof import TOLD_TYPES
from commands.errors import exit_code_of
from commands.site.configuration import Configuration
from commands.site.opening import open_site
from commands.verification.verify import look_closely
from projections.queries.catalog import backups_of_store
from projections.queries.schedules import runs_page

COLUMNS = 80


@dataclass(frozen=True)
class Lived:
    """A demo that is over: its folder and what it said."""

    folder: Path
    told: str


def live(folder: Path | None) -> str:
    told = io.StringIO()
    run_demo(folder, Console(file=told, width=COLUMNS, markup=False, highlight=False))
    return told.getvalue()


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    folder = tmp_path_factory.mktemp("demo")
    return Lived(folder, live(folder))


@pytest.mark.parametrize(
    "said",
    [
        "Refused, and recorded: keep_count: 99",
        "failed (SourceMissing)",
        "3 slots missed",
        "within_keep_count",
        "held",
        "It was one transaction",
        "the same root",
        "their root is the one that the burned ledger had",
        "rows are back",
        "append-only: UPDATE refused",
        "identical",
        "run --once",
    ],
)
def test_the_demo_shows_what_it_set_out_to_show(lived: Lived, said: str) -> None:
    """Each chapter happened: refusal, failure, missed slots, retention, restore, proof."""
    assert said in " ".join(lived.told.split())


def test_the_demo_reads_well_without_a_terminal(lived: Lived) -> None:
    """Nothing is colored, and prose and tables keep to eighty columns."""
    assert "\x1b" not in lived.told
    story = lived.told.partition("Try it yourself")[0]
    assert max(len(line.rstrip()) for line in story.splitlines()) <= COLUMNS


def test_what_the_demo_left_is_whole(lived: Lived) -> None:
    """Catalog and folder agree, and every backup still is what was recorded."""
    site = open_site(Configuration(database=lived.folder / "office.db"), "read")
    with closing(site):
        with site.read_models.reading() as connection:
            there = backups_of_store(connection, site.store.store_id)
            runs = runs_page(connection, None, None, before=None, limit=1_000)[0]
        assert {each.filename for each in there} == {
            each.name for each in (lived.folder / "backups").glob("*.db")
        }
        assert all(look_closely(site, each, "integrity").is_good for each in there)
        assert {each.outcome for each in runs} == {"completed", "failed"}
        told = {each.event.event_type for each in site.ledger.recorded()}
        assert set(TOLD_TYPES) <= told


def test_the_restored_database_is_sound(lived: Lived) -> None:
    """After disaster and restore SQLite finds nothing wrong, foreign keys included."""
    with closing(sqlite3.connect(lived.folder / "office.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("SELECT count(*) FROM cases").fetchone()[0] > 0


def test_the_demo_ends_before_now(lived: Lived) -> None:
    """Nothing in the ledger lies in the future, so the real clock can take over."""
    with closing(open_site(Configuration(database=lived.folder / "office.db"), "read")) as site:
        newest = list(site.ledger.recorded())[-1]
    assert newest.event.timestamp < datetime.now(UTC)


def test_suggested_commands_name_the_demos_database(lived: Lived) -> None:
    """Each can be copied as it stands."""
    after = lived.told.partition("Try it yourself")[2]
    commands = [line.strip() for line in after.splitlines() if "--database" in line]
    assert len(commands) >= 5
    for command in commands:
        words = shlex.split(command)
        assert words[words.index("--database") + 1] == str(lived.folder / "office.db")


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    """Nothing of it is touched, and the exit code says conflict."""
    kept = tmp_path / "thesis.txt"
    kept.write_text("years of work")
    with pytest.raises(FolderTaken, match="not empty") as refused:
        run_demo(tmp_path, Console(file=io.StringIO()))
    assert exit_code_of(refused.value) == 5
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_at_the_folders_place_is_refused(tmp_path: Path) -> None:
    """The message names it and says what to do."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(FolderTaken, match="give another"):
        demo_folder(tmp_path / "taken")


def test_without_a_folder_each_demo_gets_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first command of the README works as often as it is typed."""
    monkeypatch.chdir(tmp_path)
    made = []
    for _ in range(3):
        folder = demo_folder(None)
        (folder / "office.db").touch()
        made.append(str(folder))
    assert made == ["backup-ledger-demo", "backup-ledger-demo-2", "backup-ledger-demo-3"]


def test_a_persons_own_settings_do_not_reach_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the environment nor a file may lead the demo into somebody's real ledger."""
    monkeypatch.setenv("BACKUP_LEDGER_LEDGER", str(tmp_path / "real.sqlite"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "backup-ledger.toml").write_text('backups = "real"\n')
    configuration = demo_configuration(tmp_path / "demo")
    assert configuration.backups_folder == tmp_path / "demo" / "backups"
    assert configuration.ledger_url.database == str(tmp_path / "demo" / "backups" / "ledger.sqlite")


def test_the_lived_clock_never_runs_backwards() -> None:
    """It jumps ahead when told to, runs on in between, and ignores the past."""
    start = datetime(2025, 1, 13, 3, 0, tzinfo=UTC)
    clock = LivedClock(start)
    before = clock.now(), clock.monotonic()
    clock.move_to(start - timedelta(days=1))
    assert (clock.now(), clock.monotonic()) > before
    clock.move_to(start + timedelta(days=1))
    assert clock.now() - (start + timedelta(days=1)) < timedelta(seconds=1)
    assert clock.monotonic() >= timedelta(days=1).total_seconds()
