"""The application's database: its locks, its restores, its former settings, its users."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from commands import BackupScheduler, BackupService, BackupSettingsUpdate
from tests.facade.conftest import Application

FORMER_TABLE = """
CREATE TABLE backup_settings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL UNIQUE,
    enabled BOOLEAN NOT NULL DEFAULT TRUE,
    frequency VARCHAR(20) NOT NULL DEFAULT 'daily',
    backup_time VARCHAR(5) NOT NULL DEFAULT '03:00',
    keep_count INTEGER NOT NULL DEFAULT 7,
    last_backup_at DATETIME,
    next_backup_at DATETIME,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    FOREIGN KEY (user_id) REFERENCES users(id),
    CHECK (keep_count >= 1 AND keep_count <= 30),
    CHECK (frequency IN ('daily', 'weekly', 'monthly'))
);
INSERT INTO backup_settings (user_id, enabled, frequency, backup_time, keep_count,
    next_backup_at, created_at, updated_at)
VALUES (2, 1, 'weekly', '04:30', 9, '2025-01-15 04:30:00', '2024-01-01', '2024-01-01'),
       (1, 0, 'daily', '03:00', 3, NULL, '2024-01-01', '2024-01-01');
"""


def events_of(service: BackupService) -> list[str]:
    return [recorded.event.event_type for recorded in service.site.ledger.recorded()]


def test_former_settings_become_events_and_keep_their_values(db_path: Path) -> None:
    """Users of the former service need not choose again."""
    connection = sqlite3.connect(db_path)
    connection.executescript(FORMER_TABLE)
    connection.close()
    session = Session(create_engine(f"sqlite:///{db_path}"))
    with BackupService(db_path) as service:
        service.list_backups()  # the ledger is made before anybody speaks of the session
        scheduler = BackupScheduler(session, service)
        weekly, disabled = scheduler.get_backup_settings(2), scheduler.get_backup_settings(1)
        assert events_of(service).count("backup_scheduler.settings_created") == 2
    assert weekly is not None
    assert (weekly.frequency, weekly.backup_time, weekly.keep_count) == ("weekly", "04:30", 9)
    assert weekly.next_backup_at == datetime(2025, 1, 15, 4, 30, tzinfo=UTC)
    assert disabled is not None
    assert not disabled.enabled
    session.close()
    session.get_bind().dispose()  # type: ignore[union-attr]


@pytest.mark.slow
def test_an_uncommitted_write_of_the_application_delays_only_the_table(
    application: Application,
) -> None:
    """The append is what counts: the answer comes from the ledger, the table catches up."""
    application.scheduler.update_backup_settings(1, BackupSettingsUpdate(keep_count=5))
    application.session.execute(text("INSERT INTO cases (user_id, title) VALUES (1, 'open')"))
    settings = application.scheduler.update_backup_settings(1, BackupSettingsUpdate(keep_count=6))
    assert settings.keep_count == 6
    application.session.commit()
    assert application.scheduler.get_stats()["total_backup_settings"] == 1
    stored = application.session.execute(text("SELECT keep_count FROM backup_settings"))
    assert stored.scalar_one() == 6


@pytest.mark.slow
def test_the_sessions_transaction_is_never_touched(application: Application) -> None:
    """What the application has not committed is still its own to roll back."""
    application.session.execute(text("INSERT INTO cases (user_id, title) VALUES (1, 'maybe')"))
    application.scheduler.get_stats()
    application.backup_service.list_backups()
    application.session.rollback()
    count = application.session.execute(text("SELECT count(*) FROM cases")).scalar_one()
    assert count == 50


@pytest.mark.slow
def test_restoring_an_older_application_database_rolls_no_history_back(
    application: Application, tmp_path: Path
) -> None:
    """The read models in it catch up by themselves; the ledger is elsewhere."""
    scheduler = application.scheduler
    scheduler.update_backup_settings(1, BackupSettingsUpdate(keep_count=5))
    backup = application.backup_service.create_backup("old")
    scheduler.update_backup_settings(1, BackupSettingsUpdate(keep_count=9))
    application.backup_service.restore_backup(backup.filename)
    found = scheduler.get_backup_settings(1)
    assert found is not None
    assert found.keep_count == 9
    stored = application.session.execute(text("SELECT keep_count FROM backup_settings"))
    assert stored.scalar_one() == 9


def test_an_unknown_user_is_refused_and_recorded(application: Application) -> None:
    """A typing error makes no schedule for nobody."""
    with pytest.raises(ValueError, match="no user 3"):
        application.scheduler.update_backup_settings(3, BackupSettingsUpdate())
    assert application.audit_logger.types == ["backup_scheduler.settings_error"]
    assert application.scheduler.get_stats()["total_backup_settings"] == 0


def test_a_user_who_is_gone_is_no_longer_due(application: Application) -> None:
    """The row stays, nobody backs up for it, and nothing fails."""
    with freeze_time("2025-01-13T02:00:00Z"):
        application.scheduler.update_backup_settings(1, BackupSettingsUpdate())
        application.scheduler.update_backup_settings(2, BackupSettingsUpdate())
    application.session.execute(text("DELETE FROM users WHERE id = 1"))
    application.session.commit()
    with freeze_time("2025-01-13T03:00:00Z", real_asyncio=True):
        asyncio.run(application.scheduler.check_and_run_backups())
    names = [backup.filename for backup in application.backup_service.list_backups()]
    assert names == ["auto_backup_user2_2025-01-13T03-00-00.db"]


def test_a_session_in_memory_keeps_the_read_models_in_their_own_file(
    db_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody else could reach a database in memory."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    session = Session(engine)
    with BackupService(db_path) as service, caplog.at_level(logging.WARNING):
        scheduler = BackupScheduler(session, service)
        scheduler.update_backup_settings(1, BackupSettingsUpdate())
        assert (service.backups_dir / "projections.sqlite").exists()
    assert "in memory" in caplog.text
    session.close()
    engine.dispose()


def test_a_failing_audit_logger_harms_nothing(db_path: Path) -> None:
    """It is told afterwards, as a courtesy."""

    class Broken:
        def log(self, **event: Any) -> None:
            raise RuntimeError("disk of the audit log is full")

    with BackupService(db_path) as service:
        scheduler = BackupScheduler(None, service, audit_logger=Broken())
        assert scheduler.update_backup_settings(1, BackupSettingsUpdate()).user_id == 1


def test_a_rejected_change_is_recorded_and_changes_nothing(application: Application) -> None:
    """A dictionary that skipped the model's checks meets the command's."""
    application.scheduler.update_backup_settings(1, BackupSettingsUpdate(keep_count=4))
    with pytest.raises(ValueError, match="keep_count"):
        application.scheduler.update_backup_settings(1, {"keep_count": 31})
    heard = application.audit_logger.heard[-1]
    assert heard["event_type"] == "backup_scheduler.settings_error"
    assert heard["details"]["attempted"] == {"keep_count": 31}
    found = application.scheduler.get_backup_settings(1)
    assert found is not None
    assert found.keep_count == 4


def test_the_event_loop_keeps_turning_during_a_backup(application: Application) -> None:
    """Work runs in threads: a ticking task is served between start and end of a check."""
    with freeze_time("2025-01-13T02:00:00Z"):
        application.scheduler.update_backup_settings(1, BackupSettingsUpdate())

    async def live() -> bool:
        with freeze_time("2025-01-13T03:00:00Z", real_asyncio=True):
            running = asyncio.create_task(application.scheduler.check_and_run_backups())
            await asyncio.sleep(0)  # it has begun
            was_running = not running.done()
            await running
            return was_running

    assert asyncio.run(live())


def test_a_folder_of_old_backups_just_works(application: Application) -> None:
    """Files of the former service are adopted, damaged ones included."""
    application.backups_dir.mkdir()
    shutil.copy(application.db_path, application.backups_dir / "auto_backup_user1_x.db")
    (application.backups_dir / "broken.db").write_bytes(b"not a database")
    (application.backups_dir / "empty.db").touch()
    (application.backups_dir / "notes.txt").write_text("leave me alone")
    names = {backup.filename for backup in application.backup_service.list_backups()}
    assert names == {"auto_backup_user1_x.db", "broken.db", "empty.db"}
    assert asyncio.run(application.retention_policy.cleanup_empty_backups()) == 1
    assert not (application.backups_dir / "empty.db").exists()


@pytest.mark.parametrize("name", ["../justice.db", "a/b.db", "..\\x", "x\0.db", "", "."])
def test_a_name_that_leaves_the_folder_is_refused_everywhere(
    application: Application, name: str
) -> None:
    """The former service deleted outside its folder when given `../`."""
    service = application.backup_service
    for act in (service.create_backup, service.delete_backup, service.restore_backup):
        with pytest.raises((ValueError, FileNotFoundError)):
            act(name)
    assert application.db_path.exists()
