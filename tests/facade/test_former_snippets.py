"""Every snippet of the former service's documentation, run on real files."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from datetime import UTC, datetime

import pytest
from freezegun import freeze_time
from sqlalchemy import text

from commands import (
    BackupFrequency,
    BackupMetadataResponse,
    BackupScheduler,
    BackupService,
    BackupSettingsUpdate,
)
from tests.facade.conftest import Application

NIGHT = datetime(2025, 1, 13, 2, 59, tzinfo=UTC)


def test_configuring_a_user_gives_the_next_backup_time(application: Application) -> None:
    """The snippet "Configure User Backup Settings"."""
    with freeze_time(NIGHT):
        settings = application.scheduler.update_backup_settings(
            user_id=1,
            input_data=BackupSettingsUpdate(
                enabled=True,
                frequency=BackupFrequency.DAILY,
                backup_time="03:00",
                keep_count=7,
            ),
        )
    assert settings.next_backup_at == datetime(2025, 1, 13, 3, tzinfo=UTC)
    found = application.scheduler.get_backup_settings(user_id=1)
    assert found == settings
    assert found.frequency == "daily"
    assert application.scheduler.get_backup_settings(user_id=2) is None


@pytest.mark.parametrize(
    ("frequency", "expected"),
    [
        (BackupFrequency.DAILY, datetime(2025, 1, 14, 3, tzinfo=UTC)),
        (BackupFrequency.WEEKLY, datetime(2025, 1, 20, 3, tzinfo=UTC)),
        (BackupFrequency.MONTHLY, datetime(2025, 2, 12, 3, tzinfo=UTC)),
    ],
)
def test_a_passed_time_of_day_means_one_step_from_today(
    application: Application, frequency: BackupFrequency, expected: datetime
) -> None:
    """The snippets on frequencies, after backup_time has passed."""
    with freeze_time("2025-01-13T03:00:00Z"):
        settings = application.scheduler.update_backup_settings(
            1, BackupSettingsUpdate(frequency=frequency, backup_time="03:00")
        )
    assert settings.next_backup_at == expected


def test_a_cron_expression_takes_the_place_of_frequency_and_time(
    application: Application,
) -> None:
    """What is new beside the snippets; the table's own columns stay what they were."""
    with freeze_time("2025-01-13T03:00:00Z"):
        settings = application.scheduler.update_backup_settings(
            1, BackupSettingsUpdate(cron="30 */6 * * *")
        )
    assert (settings.cron, settings.frequency) == ("30 */6 * * *", BackupFrequency.DAILY)
    assert settings.next_backup_at == datetime(2025, 1, 13, 6, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="five fields"):
        BackupSettingsUpdate(cron="@hourly")


def test_what_is_kept_beside_a_count_is_set_and_shown(application: Application) -> None:
    """What is new beside the snippets: by days, weeks, months and years."""
    kept = {"keep_within_days": 3, "keep_daily": 7, "keep_weekly": 4, "keep_yearly": 2}
    settings = application.scheduler.update_backup_settings(1, BackupSettingsUpdate(**kept))
    shown = settings.model_dump()
    assert {name: shown[name] for name in kept} == kept
    assert (shown["keep_monthly"], shown["keep_count"]) == (0, 7)
    cleared = application.scheduler.update_backup_settings(1, BackupSettingsUpdate(keep_weekly=0))
    assert (cleared.keep_weekly, cleared.keep_daily) == (0, 7)
    for wrong in ({"keep_daily": -1}, {"keep_yearly": 1_001}, {"keep_within_days": 36_501}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            BackupSettingsUpdate(**wrong)


def test_start_runs_what_was_missed_and_stop_ends_it(application: Application) -> None:
    """The snippets "Basic Setup" and "Startup Behavior"."""
    scheduler = application.scheduler
    with freeze_time(NIGHT):
        scheduler.update_backup_settings(1, BackupSettingsUpdate(keep_count=3))

    async def live() -> None:
        with freeze_time("2025-01-16T09:00:00Z", real_asyncio=True):
            await scheduler.start()
            assert scheduler.is_running
            assert scheduler.get_stats()["is_running"] is True
            await scheduler.stop()

    asyncio.run(live())
    assert not scheduler.is_running
    names = [backup.filename for backup in application.backup_service.list_backups()]
    assert names == ["auto_backup_user1_2025-01-16T09-00-00.db"]
    settings = scheduler.get_backup_settings(1)
    assert settings is not None
    assert settings.last_backup_at == datetime(2025, 1, 16, 9, tzinfo=UTC)
    assert settings.next_backup_at == datetime(2025, 1, 17, 3, tzinfo=UTC)
    assert application.audit_logger.types == [
        "backup_scheduler.settings_created",
        "backup_scheduler.start",
        "backup_retention.applied",
        "backup_scheduler.backup_completed",
        "backup_scheduler.stop",
    ]


@pytest.mark.slow
def test_the_audit_logger_hears_the_documented_shape(application: Application) -> None:
    """The snippet "Audit Log Example"."""
    scheduler = application.scheduler
    with freeze_time(NIGHT):
        scheduler.update_backup_settings(1, BackupSettingsUpdate(keep_count=1))
    for day in (13, 14):
        with freeze_time(f"2025-01-{day}T03:00:05Z", real_asyncio=True):
            asyncio.run(scheduler.check_and_run_backups())
    heard = application.audit_logger.heard[-1]
    assert heard["event_type"] == "backup_scheduler.backup_completed"
    assert heard["user_id"] == "1"
    assert heard["resource_type"] == "backup_scheduler"
    assert heard["resource_id"] == "1"
    assert heard["action"] == "backup"
    assert heard["success"] is True
    details = heard["details"]
    assert details["filename"] == "auto_backup_user1_2025-01-14T03-00-05.db"
    assert details["frequency"] == "daily"
    assert details["next_backup_at"] == "2025-01-15T03:00:00.000000Z"
    assert details["deleted_old_backups"] == 1


def test_disabling_clears_the_next_time_and_enabling_sets_it(application: Application) -> None:
    """The snippet "Enabling/Disabling Backups"."""
    scheduler = application.scheduler
    with freeze_time(NIGHT):
        scheduler.update_backup_settings(1, BackupSettingsUpdate())
        off = scheduler.update_backup_settings(1, BackupSettingsUpdate(enabled=False))
        on = scheduler.update_backup_settings(1, BackupSettingsUpdate(enabled=True))
    assert off.next_backup_at is None
    assert on.next_backup_at == datetime(2025, 1, 13, 3, tzinfo=UTC)


def test_statistics_have_the_four_keys(application: Application) -> None:
    """The snippet "Scheduler Statistics"."""
    application.scheduler.update_backup_settings(1, BackupSettingsUpdate())
    application.scheduler.update_backup_settings(2, BackupSettingsUpdate(enabled=False))
    assert application.scheduler.get_stats() == {
        "is_running": False,
        "check_interval_seconds": 60,
        "enabled_backup_settings": 1,
        "total_backup_settings": 2,
    }


def test_backups_are_listed_newest_first_and_private(application: Application) -> None:
    """The snippets "List Backups" and "Create Manual Backup"."""
    service = application.backup_service
    with freeze_time("2025-01-13T10:00:00Z"):
        named = service.create_backup(custom_filename="manual_backup_2025_01_13")
    with freeze_time("2025-01-13T11:00:00Z"):
        timed = service.create_backup()
    assert named.filename == "manual_backup_2025_01_13.db"
    assert timed.filename == "justice_backup_2025-01-13T11-00-00.db"
    assert service.list_backups() == [timed, named]
    assert isinstance(timed, BackupMetadataResponse)
    mode = (application.backups_dir / named.filename).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert service.get_backups_dir_size() == named.size + timed.size
    assert service.get_database_size() == application.db_path.stat().st_size


@pytest.mark.slow
def test_a_restore_brings_the_rows_back_and_keeps_the_current_ones(
    application: Application,
) -> None:
    """The snippet "Restore Backup", with the application's session open."""
    service = application.backup_service
    backup = service.create_backup("before")
    application.session.execute(text("DELETE FROM cases"))
    application.session.commit()
    service.restore_backup(filename=backup.filename)
    count = application.session.execute(text("SELECT count(*) FROM cases")).scalar_one()
    assert count == 50
    safety = [each for each in service.list_backups() if each.is_protected]
    assert len(safety) == 1
    kept = sqlite3.connect(safety[0].filepath)
    assert kept.execute("SELECT count(*) FROM cases").fetchone() == (0,)
    kept.close()


def test_deleting_protected_backups_needs_force(application: Application) -> None:
    """The snippet "Delete Backup"."""
    service = application.backup_service
    backup = service.create_pre_migration_backup()
    with pytest.raises(PermissionError):
        service.delete_backup(backup.filename)
    service.delete_backup(backup.filename, force=True)
    assert service.list_backups() == []
    assert service.get_backup_by_filename(backup.filename) is None


@pytest.mark.slow
def test_retention_by_hand_deletes_what_its_summary_says(application: Application) -> None:
    """The snippet "Manual Retention Application"."""
    service, policy = application.backup_service, application.retention_policy
    for hour in range(5):
        with freeze_time(f"2025-01-13T{hour:02}:00:00Z"):
            service.create_backup()
    with freeze_time("2025-01-13T05:00:00Z", real_asyncio=True):
        service.create_pre_migration_backup()
        summary = asyncio.run(policy.get_retention_summary(keep_count=2))
        assert asyncio.run(policy.apply_retention_policy(keep_count=2)) == 3
    assert (summary.total, summary.protected, summary.to_keep, summary.to_delete) == (6, 1, 2, 3)
    assert len(service.list_backups()) == 3


@pytest.mark.slow
def test_one_users_retention_leaves_the_others_alone(application: Application) -> None:
    """The former service deleted another user's backups here."""
    scheduler = application.scheduler
    with freeze_time(NIGHT):
        scheduler.update_backup_settings(1, BackupSettingsUpdate(keep_count=1))
        scheduler.update_backup_settings(2, BackupSettingsUpdate(keep_count=5))
    for day in (13, 14, 15):
        with freeze_time(f"2025-01-{day}T03:00:00Z", real_asyncio=True):
            asyncio.run(scheduler.check_and_run_backups())
    names = [backup.filename for backup in application.backup_service.list_backups()]
    assert sum(name.startswith("auto_backup_user1_") for name in names) == 1
    assert sum(name.startswith("auto_backup_user2_") for name in names) == 3


def test_there_is_one_scheduler_in_a_process(application: Application) -> None:
    """The singleton pattern, and a way out of it."""
    assert BackupScheduler.get_instance() is application.scheduler
    BackupScheduler.reset_instance()
    with pytest.raises(TypeError):
        BackupScheduler.get_instance()


def test_settings_live_in_the_applications_database(application: Application) -> None:
    """The table is the documented one, and refers to the application's users."""
    application.scheduler.update_backup_settings(1, BackupSettingsUpdate())
    row = application.session.execute(text("SELECT * FROM backup_settings")).mappings().one()
    assert list(row)[:10] == [
        "id",
        "user_id",
        "enabled",
        "frequency",
        "backup_time",
        "keep_count",
        "last_backup_at",
        "next_backup_at",
        "created_at",
        "updated_at",
    ]
    keys = application.session.execute(text("PRAGMA foreign_key_list(backup_settings)")).all()
    assert [(key[2], key[3], key[4]) for key in keys] == [("users", "user_id", "id")]


def test_a_service_without_a_session_works_from_its_folder(db_path: object) -> None:
    """`db` may be None: the read models then live beside the backups."""
    with BackupService(str(db_path)) as service:
        scheduler = BackupScheduler(None, service, None, check_interval=300)
        settings = scheduler.update_backup_settings(7, {"frequency": "weekly"})
        assert settings.user_id == 7
        assert scheduler.get_stats()["check_interval_seconds"] == 300
