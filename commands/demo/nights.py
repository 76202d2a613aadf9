"""The middle chapters: good nights, a bad one, and some with the machine off."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rich.filesize import decimal

from commands.demo.sample_database import connect
from commands.reporting.humanize import count
from ledger.events.scheduling import BackupCompleted, BackupFailed, SlotsMissed
from ledger.vocabulary import schedule_stream
from projections.queries.catalog import backups_of_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands.demo.narrator import Narrator
    from commands.demo.office import Office
    from ledger.records.record import Event

FAILURES: Final = 3
"""How often the backup fails before somebody puts the database back."""
ANNA: Final = 1


def live_two_ordinary_weeks(office: Office, tell: Narrator) -> None:
    """Work by day, backups by night."""
    tell.chapter("Two ordinary weeks")
    tell.say(
        "Only the clock is simulated: it jumps to the next due time. Each night the database is "
        "copied while it is open, checked, hashed and published; then its owner's retention runs."
    )
    rows = []
    for week in (1, 2):
        before, added = office.report.completed, office.rows_added
        with tell.waiting(f"living through week {week}"):
            office.live_until(office.day(7 * week))
        with office.site.read_models.reading() as connection:
            there = backups_of_store(connection, office.site.store.store_id)
        rows.append(
            [
                week,
                f"{office.rows_added - added:,}",
                office.report.completed - before,
                len(there),
                decimal(there[0].size),
            ]
        )
    columns = ["week", "rows added", "backups made", "in the folder now", "newest one"]
    tell.table(columns, rows, right=columns)


def live_through_a_bad_night(office: Office, tell: Narrator) -> None:
    """The database is missing; the run is retried until it is back."""
    tell.chapter("A bad night")
    due = office.next_due()
    assert due is not None
    office.live_until(due - timedelta(hours=1))
    before = office.site.ledger.stream_version(schedule_stream(ANNA))
    tell.bad("Somebody moves the database away for maintenance, and forgets it there.")
    with _database_moved_away(office), _quiet_log():
        for _ in range(FAILURES):
            due = office.next_due()
            assert due is not None
            office.live_until(due)
    due = office.next_due()
    assert due is not None
    office.live_until(due)
    events = office.site.ledger.stream(schedule_stream(ANNA))[before:]
    tell.table(
        ["attempt", "at (UTC)", "outcome"], [_attempt(each) for each in events if _is_end(each)]
    )
    tell.good("The slot was not lost: the database was back in time for the third retry.")


def live_without_the_machine(office: Office, tell: Narrator, days: int) -> None:
    """A power cut: nothing runs, then one run stands for all that was missed."""
    tell.chapter(f"A power cut of {days} days")
    before = office.site.ledger.log_recorder.head().size
    office.clock.advance(timedelta(days=days))
    office.restart()
    report = office.check()
    tell.say(
        f"The new process finds {count(report.completed, 'overdue run')} and catches up. The "
        "ledger names every missed slot:"
    )
    for recorded in office.site.ledger.recorded(after=before):
        details = recorded.event.details
        if isinstance(details, SlotsMissed):
            tell.bad(
                f"user {recorded.event.user_id}: {count(details.count, 'slot')} missed, "
                f"{details.first_slot:%d %b %H:%M} to {details.last_slot:%d %b %H:%M} UTC"
            )


def _is_end(event: Event) -> bool:
    return isinstance(event.details, BackupFailed | BackupCompleted)


def _attempt(event: Event) -> list[object]:
    details = event.details
    assert isinstance(details, BackupFailed | BackupCompleted)
    at = f"{event.timestamp:%d %b %H:%M:%S}"
    if isinstance(details, BackupCompleted):
        return [details.attempt, at, f"completed: {details.filename}"]
    retry = "no retry" if details.next_backup_at is None else f"{details.next_backup_at:%H:%M:%S}"
    return [details.attempt, at, f"failed ({details.error_type}), next try {retry}"]


@contextmanager
def _database_moved_away(office: Office) -> Iterator[None]:
    """Nothing stands at the database's path; closed first, so that it is one file."""
    office.application.close()
    elsewhere = office.database.with_name("office.moved")
    office.database.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(office.database)
        office.application = connect(office.database)


@contextmanager
def _quiet_log() -> Iterator[None]:
    """These failures are told by the story; in a log they would look like accidents."""
    logger = logging.getLogger("backup_ledger.runs")
    logger.disabled, before = True, logger.disabled
    try:
        yield
    finally:
        logger.disabled = before
