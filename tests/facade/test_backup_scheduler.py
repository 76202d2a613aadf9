"""The facade's scheduler is the one that `run` is, on a thread beside the application's loop."""

from __future__ import annotations

import asyncio

import pytest
from freezegun import freeze_time
from sqlalchemy import update

from commands import BackupSettingsUpdate
from ledger.append.schedulers import scheduler_rows
from ledger.append.tables import meta
from ledger.errors import LedgerTooNew
from ledger.events.scheduling import BackupCompleted, SchedulerStarted, SchedulerStopped
from tests.facade.conftest import Application

NIGHT, NEXT_NIGHT = "2025-01-13T02:00:00Z", "2025-01-14T03:30:00Z"


def recorded(application: Application, kind: type) -> list[object]:
    ledger = application.backup_service.site.ledger
    details = (each.event.details for each in ledger.recorded())
    return [each for each in details if isinstance(each, kind)]


def rows(application: Application) -> int:
    site = application.backup_service.site
    with site.ledger.engine.connect() as connection:
        return len(scheduler_rows(connection, site.clock.monotonic()))


def test_others_see_the_scheduler_while_it_runs(application: Application) -> None:
    """It has its row in the ledger, as every scheduler; and its own interval in its start."""
    application.scheduler.check_interval = 300

    async def live() -> int:
        await application.scheduler.start()
        await application.scheduler.start()
        seen = rows(application)
        await application.scheduler.stop()
        return seen

    assert asyncio.run(live()) == 1
    assert rows(application) == 0
    (started,) = recorded(application, SchedulerStarted)
    assert isinstance(started, SchedulerStarted)
    assert started.check_interval_seconds == 300


def test_an_application_that_ends_without_a_stop_ends_the_scheduler(
    application: Application,
) -> None:
    """Its loop cancels what is left; the running backup finishes, and the end is recorded."""
    scheduler = application.scheduler
    with freeze_time(NIGHT):
        scheduler.update_backup_settings(1, BackupSettingsUpdate())

    async def live() -> None:
        with freeze_time(NEXT_NIGHT, real_asyncio=True):
            await scheduler.start()

    asyncio.run(live())
    assert not scheduler.is_running
    assert len(recorded(application, BackupCompleted)) == 1
    assert len(recorded(application, SchedulerStopped)) == 1


def test_what_keeps_the_scheduler_from_its_first_check_is_raised_by_start(
    application: Application,
) -> None:
    """Else it would be known only to whoever asks whether it runs."""
    with application.backup_service.site.ledger.engine.begin() as connection:
        connection.execute(update(meta).values(software_version="99.0.0"))

    async def live() -> None:
        with pytest.raises(LedgerTooNew, match="update backup-ledger"):
            await application.scheduler.start()
        with pytest.raises(LedgerTooNew):
            await application.scheduler.stop()

    asyncio.run(live())
    assert not application.scheduler.is_running


@pytest.mark.slow
def test_it_can_be_started_again(application: Application) -> None:
    """After a stop, and after it was forgotten as the one of the process."""
    application.scheduler.check_interval = 300

    async def live() -> None:
        for _ in range(2):
            await application.scheduler.start()
            await application.scheduler.stop()
            assert not application.scheduler.is_running

    asyncio.run(live())
    assert len(recorded(application, SchedulerStopped)) == 2
