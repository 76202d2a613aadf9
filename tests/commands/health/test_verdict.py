"""Nothing is called well that nobody looked at, and what is wrong is named with what helps."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from commands.backups.take import take_backup
from commands.errors import BackupNameTaken
from commands.health.facts import status_facts, verdict_of
from commands.health.finding import Finding
from commands.health.places import VERIFIED_AT_SIGHT, VERIFY_WITHIN
from commands.health.verdict import Verdict
from commands.recovery.reconcile import reconcile
from commands.restore.restore import restore_backup
from commands.schedules.settings import configure, pause
from commands.site.site import Site
from commands.sqlite.errors import SQLiteFileError
from ledger.append.ledger import Draft
from ledger.events.catalog import BackupCreated
from ledger.events.housekeeping import ProjectionRebuilt
from ledger.verify.remembered import remember_verified
from ledger.verify.verify import verify
from tests.commands.conftest import MakeWorld
from tests.commands.world import World, break_database, fill_cases

FILLING = ProjectionRebuilt(name="none", version=1, position=0, rows=0, reason="filling")


@pytest.fixture
def well(world: World) -> World:
    """A schedule, a backup, everything where it should be."""
    world.open()
    world.configure()
    take_backup(world.site, world.context(), filename="one")
    assert verdict_of(world.site, world.clock.now()).sentence == "All is well."
    return world


def findings(world: World) -> dict[str, Finding]:
    return {each.kind: each for each in verdict_of(world.site, world.clock.now()).findings}


def only(world: World, kind: str) -> Finding:
    """The one thing that is found."""
    found = findings(world)
    assert list(found) == [kind], found
    return found[kind]


def test_a_look_changes_nothing(well: World) -> None:
    """Neither the ledger, nor the folder, nor anything beside the database."""
    before = well.site.ledger.log_recorder.head()
    files = {path: path.stat().st_mtime_ns for path in _all_files(well.folder)}
    verdict_of(well.site, well.clock.now())
    after = {path: path.stat().st_mtime_ns for path in _all_files(well.folder)}
    assert well.site.ledger.log_recorder.head() == before
    assert after == files


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"this is not a database " * 100, "is not a SQLite database"),
        (b"", "is empty"),
        (b"x", "is too short to be a SQLite database"),
    ],
)
def test_the_databases_header_is_looked_at(well: World, content: bytes, says: str) -> None:
    """A file of the right name is not enough."""
    break_database(well.database)
    well.database.write_bytes(content)
    found = only(well, "database")
    assert found.is_bad
    assert says in found.text
    assert found.advice == "put the last backup back: backup-ledger backup restore one.db"


def test_a_database_that_was_cut_is_named(well: World) -> None:
    """The header says how many pages there should be."""
    with closing(sqlite3.connect(well.database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    os.truncate(well.database, 4096)
    assert "is damaged" in only(well, "database").text


def test_a_database_that_is_gone_is_named(well: World) -> None:
    for path in well.folder.glob("app.db*"):
        path.unlink()
    assert "is missing" in only(well, "database").text


@pytest.mark.slow
def test_a_collapsed_backup_is_not_what_to_put_back(well: World) -> None:
    """The database was emptied, backed up, and then destroyed."""
    fill_cases(well.database, 200)
    well.advance(minutes=1)
    take_backup(well.site, well.context(), filename="full.db")
    fill_cases(well.database, 0)
    well.advance(minutes=1)
    take_backup(well.site, well.context(), filename="empty.db")
    break_database(well.database)
    found = {each.kind: each for each in verdict_of(well.site, well.clock.now()).findings}
    said = "put the last backup that held more back: backup-ledger backup restore full.db"
    assert found["database"].advice == said


def test_a_database_whose_content_is_in_its_wal_is_well(well: World) -> None:
    """It is in use, has never been checkpointed, and its locks stay as they are."""
    with closing(sqlite3.connect(well.database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO cases (title) VALUES ('open')")
        assert findings(well) == {}
        with (
            closing(sqlite3.connect(well.database, timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("BEGIN IMMEDIATE")
        connection.rollback()


@pytest.mark.slow
def test_a_backup_by_hand_that_failed_is_named_until_one_succeeds(well: World) -> None:
    """The newest attempt counts."""
    away = well.database.rename(well.folder / "away")
    with pytest.raises(SQLiteFileError):
        take_backup(well.site, well.context(), filename="two")
    away.rename(well.database)
    found = only(well, "failed")
    assert "there is no database at" in found.text
    assert "backup-ledger backup create" in found.advice
    take_backup(well.site, well.context(), filename="three")
    assert findings(well) == {}


def test_a_name_that_is_taken_is_no_failure_of_backups(well: World) -> None:
    """Whoever typed it was told; nothing is wrong with the database."""
    with pytest.raises(BackupNameTaken):
        take_backup(well.site, well.context(), filename="one")
    assert findings(well) == {}


@pytest.mark.slow
def test_without_a_schedule_nothing_is_backed_up_by_itself(world: World) -> None:
    """No schedule, one that is disabled, one that is paused."""
    world.open()
    take_backup(world.site, world.context())
    assert "there is no schedule" in only(world, "schedules").text
    assert "backup-ledger settings set" in only(world, "schedules").advice
    world.configure(enabled=False)
    assert "every schedule is disabled" in only(world, "schedules").text
    configure(world.site, world.context(), 1, {"enabled": True})
    pause(world.site, world.context(), 1)
    assert "every schedule is paused" in only(world, "schedules").text
    world.configure(2)
    assert findings(world) == {}


@pytest.mark.slow
def test_a_backup_from_the_future_is_named_and_is_not_the_last(well: World) -> None:
    """The machine's clock ran two weeks ahead for a while."""
    well.advance(days=14)
    take_backup(well.site, well.context(), filename="ahead")
    well.advance(days=-14)
    assert "1 backup is dated after now: ahead.db" in findings(well)["future"].text
    assert "the clock is behind the last recorded time" in findings(well)["clock"].text
    assert status_facts(well.site, well.clock.now())["last_backup"]["filename"] == "one.db"
    well.advance(days=14)
    assert "future" not in findings(well)


@pytest.mark.slow
def test_what_a_restore_kept_is_not_the_last_backup(well: World) -> None:
    """It is what the database held before."""
    well.advance(minutes=1)
    restore_backup(well.site, well.context(), "one.db")
    facts = status_facts(well.site, well.clock.now())
    assert facts["last_backup"]["filename"] == "one.db"
    assert facts["backups"]["count"] == 2


@pytest.mark.slow
def test_only_what_a_restore_kept_is_no_good_backup(well: World) -> None:
    well.advance(minutes=1)
    restore_backup(well.site, well.context(), "one.db")
    (well.backups / "one.db").unlink()
    reconcile(well.site, well.context())
    assert "there is no good backup" in findings(well)["no_backup"].text


def test_files_that_came_or_went_unnoticed_are_named(well: World) -> None:
    """Before anybody reconciles the folder with the ledger."""
    (well.backups / "one.db").rename(well.backups / "other.db")
    found = findings(well)
    assert found["gone"].text == "1 file of backups not in the folder: one.db"
    assert found["unknown_files"].text == "1 file in the folder not in the ledger: other.db"
    assert "backup-ledger backup reconcile" in found["gone"].advice
    long_ago = well.clock.now().timestamp() - 60
    os.utime(well.backups / "other.db", (long_ago, long_ago))
    reconcile(well.site, well.context())
    assert list(findings(well)) == ["missing"]


@pytest.mark.slow
def test_the_newest_backups_warnings_are_heard(well: World) -> None:
    """For as long as no newer backup of the owner is without one."""
    with closing(sqlite3.connect(well.database)) as connection:
        connection.create_function("known", 1, lambda _: 1, deterministic=True)
        connection.execute("CREATE INDEX odd ON cases (known(title))")
        connection.commit()
    take_backup(well.site, well.context(), filename="small")
    with closing(sqlite3.connect(well.database)) as connection:
        connection.execute("DROP INDEX odd")
        connection.commit()
    (warning, *_) = well.recorded(BackupCreated)[-1].warnings
    assert f"small.db: {warning}" in findings(well)["warnings"].text
    take_backup(well.site, well.context(), filename="again")
    assert "warnings" not in findings(well)


def test_a_ledger_that_was_changed_is_named_at_once_where_it_is_small(well: World) -> None:
    """No reminder is needed where looking takes milliseconds."""
    with well.site.ledger.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER ledger_events_no_update"))
        connection.execute(text("UPDATE ledger_events SET recorded_at = 'x' WHERE position = 1"))
    found = findings(well)["ledger"]
    assert found.is_bad
    assert "is not what it was" in found.text
    assert "backup-ledger audit verify" in found.advice


@pytest.mark.slow
def test_a_ledger_that_nobody_verified_for_long_is_named(well: World) -> None:
    """Never, or long ago; after a verification it is well again."""
    well.advance(days=VERIFY_WITHIN.days + 1)
    assert "were never verified" in findings(well)["ledger"].text
    _remember(well.site, well.clock.now())
    assert "ledger" not in findings(well)
    well.advance(days=VERIFY_WITHIN.days + 1)
    assert "was not verified for 31 days" in findings(well)["ledger"].text


@pytest.mark.slow
def test_a_large_ledger_must_be_verified_by_somebody(well: World) -> None:
    """It is too large to be looked at in passing."""
    well.site.ledger.append(
        well.context(), *(Draft("ledger", FILLING) for _ in range(VERIFIED_AT_SIGHT))
    )
    assert "were never verified" in only(well, "ledger").text
    _remember(well.site, well.clock.now())
    assert findings(well) == {}


@pytest.mark.slow
def test_what_the_last_verification_found_stays_until_one_finds_nothing(well: World) -> None:
    well.site.ledger.append(
        well.context(), *(Draft("ledger", FILLING) for _ in range(VERIFIED_AT_SIGHT))
    )
    with well.site.ledger.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER ledger_events_no_delete"))
    _remember(well.site, well.clock.now())
    assert "verifying it found 1 problem" in only(well, "ledger").text


def test_what_nobody_named_is_not_called_well(make_world: MakeWorld, well: World) -> None:
    """A ledger alone says nothing of the database and the folder."""
    ledger = str(well.backups / "ledger.sqlite")
    models = str(well.folder / "models.sqlite")
    alone = make_world("alone", database=None, ledger=ledger, projections=models)
    verdict = verdict_of(alone.open("read"), well.clock.now())
    assert verdict.findings == ()
    assert verdict.sentence == (
        "No problem was found; not checked: the database (--database), "
        "the backups folder (--backups)."
    )


def test_a_finding_reads_as_one_line() -> None:
    assert str(Finding("a", "it is late", "see: b")) == "it is late; see: b"
    assert str(Finding("a", "is it late?", "see: b")) == "is it late? See: b"


def test_the_sentence_counts() -> None:
    one = Finding("a", "x", "y")
    assert Verdict((one,)).sentence == "1 problem needs attention:"
    assert Verdict((one, one)).sentence == "2 problems need attention:"
    assert not Verdict((one,)).is_bad
    assert Verdict((one, Finding("a", "x", "y", is_bad=True))).is_bad


def _remember(site: Site, now: object) -> None:
    report = verify(site.ledger.engine)
    assert remember_verified(site.ledger.engine, report, now)  # type: ignore[arg-type]


def _all_files(folder: Path) -> list[Path]:
    ours = ("projections.sqlite", "ledger.sqlite-shm")
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(ours)
    ]
