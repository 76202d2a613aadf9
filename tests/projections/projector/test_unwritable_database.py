"""Where the read models cannot be written: answers all the same, and later the rows."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from ledger.append.ledger import Ledger
from ledger.errors import LedgerBusy
from ledger.events.scheduling import SchedulePaused, SettingsCreated
from projections.projector import read_models as read_models_module
from projections.projector.read_models import ReadModels
from projections.queries.schedules import schedule_of
from tests.projections.conftest import OpenReadModels, folded_in_memory, rows_of, taken_heals
from tests.projections.stories import tell
from tests.sample_events import CONTEXT, draft

LOCKS = {
    "write": ["BEGIN IMMEDIATE"],
    "exclusive": ["BEGIN EXCLUSIVE"],
    "read, which only a commit notices": ["BEGIN", "SELECT * FROM backup_settings"],
}


@pytest.fixture
def app_path(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


@pytest.fixture
def app(app_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(app_path, isolation_level=None, timeout=0)
    yield connection
    connection.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds are for people; a test need not wait that long to see the same."""
    monkeypatch.setattr(read_models_module, "WRITE_WAIT_SECONDS", 0.2)


def paused(models: ReadModels) -> bool | None:
    with models.reading() as connection:
        schedule = schedule_of(connection, 1)
    return None if schedule is None else schedule.paused


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_answers_come_from_memory_while_the_application_holds_a_lock(
    ledger: Ledger,
    open_models: OpenReadModels,
    app: sqlite3.Connection,
    app_path: Path,
    lock: str,
    mode: str,
) -> None:
    """Each is of the ledger's head; when the lock is free, the rows are written."""
    app.execute(f"PRAGMA journal_mode={mode}")
    models = open_models(app_path, is_applications=True)
    assert paused(models) is None
    for statement in LOCKS[lock]:
        app.execute(statement).fetchone()
    ledger.append(CONTEXT, draft(SettingsCreated))
    assert paused(models) is False
    ledger.append(CONTEXT, draft(SchedulePaused))
    assert paused(models) is True
    app.execute("ROLLBACK")
    assert paused(models) is True
    assert rows_of(models) == folded_in_memory(ledger)
    assert taken_heals(models) == []


@pytest.mark.slow
def test_the_first_answer_under_a_lock_comes_in_about_two_seconds(
    ledger: Ledger,
    open_models: OpenReadModels,
    app: sqlite3.Connection,
    app_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """That long a writer is waited for; after that it is only looked whether it is done."""
    models = open_models(app_path, is_applications=True)
    assert paused(models) is None
    app.execute("BEGIN IMMEDIATE")
    ledger.append(CONTEXT, draft(SettingsCreated))
    begin = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert paused(models) is False
        waited = time.monotonic() - begin
        for _ in range(20):
            assert paused(models) is False
    app.execute("ROLLBACK")
    assert 1.5 < waited < 10
    assert time.monotonic() - begin < 20
    assert len(caplog.records) == 1
    assert "cannot be written now" in caplog.text


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_lock_at_the_very_first_look_is_no_obstacle(
    ledger: Ledger, open_models: OpenReadModels, app: sqlite3.Connection, app_path: Path
) -> None:
    """The tables are not even there yet."""
    app.execute("CREATE TABLE notes (id INTEGER)")
    app.execute("BEGIN EXCLUSIVE")
    ledger.append(CONTEXT, draft(SettingsCreated))
    models = open_models(app_path, is_applications=True)
    assert paused(models) is False
    app.execute("ROLLBACK")
    assert paused(models) is False
    assert rows_of(models) == folded_in_memory(ledger)


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_readers_stay_patient_after_a_lock_that_was_not_waited_for(
    ledger: Ledger, open_models: OpenReadModels, app: sqlite3.Connection, app_path: Path
) -> None:
    """The application's short commits must not make a reader fail at once."""
    models = open_models(app_path, is_applications=True)
    assert paused(models) is None
    app.execute("BEGIN IMMEDIATE")
    ledger.append(CONTEXT, draft(SettingsCreated))
    for _ in range(2):
        assert paused(models) is False
    app.execute("ROLLBACK")
    assert models.catch_up()
    with models.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 200


def test_a_read_only_file_is_read_no_further_than_it_goes(
    ledger: Ledger, open_models: OpenReadModels, models_path: Path
) -> None:
    """Answers are of the head all the same, and the file is not changed."""
    ledger.append(CONTEXT, draft(SettingsCreated))
    writable = open_models(is_applications=True)
    assert paused(writable) is False
    writable.close()
    before = models_path.read_bytes()
    url = make_url(f"sqlite:///file:{models_path}?mode=ro&uri=true")
    for is_applications in (True, False):
        read_only = ReadModels.at(url, ledger, is_applications=is_applications)
        ledger.append(CONTEXT, draft(SchedulePaused))
        assert paused(read_only) is True
        assert not read_only.catch_up()
        read_only.close()
    assert models_path.read_bytes() == before


def test_a_file_that_is_no_database_gives_way_and_is_kept(
    ledger: Ledger, open_models: OpenReadModels, models_path: Path
) -> None:
    """It is not ours to delete."""
    text = "Dear diary. " * 400
    models_path.write_text(text)
    ledger.append(CONTEXT, draft(SettingsCreated))
    assert paused(open_models()) is False
    assert models_path.with_name(f"{models_path.name}.damaged-1").read_text() == text


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_rebuild_that_cannot_write_says_that_it_is_busy(
    ledger: Ledger, open_models: OpenReadModels, app: sqlite3.Connection, app_path: Path
) -> None:
    """It is a command of a person, who wants the rows and not an answer."""
    models = open_models(app_path, is_applications=True)
    tell(ledger)
    assert models.catch_up()
    app.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerBusy, match=r"app\.db is locked"):
        models.rebuild(None)
    app.execute("ROLLBACK")
    assert rows_of(models) == folded_in_memory(ledger)
