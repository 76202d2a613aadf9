"""Questions to settings, runs and catalog: which rows answer them, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.append.ledger import Draft, Ledger
from ledger.events.catalog import (
    BackupCorrupt,
    BackupCreated,
    BackupDeleted,
    BackupFound,
    BackupMissing,
    DeletionStarted,
)
from ledger.events.scheduling import (
    BackupStarted,
    SchedulePaused,
    SettingsCreated,
)
from projections.projector.read_models import ReadModels
from projections.queries import catalog as catalog_queries
from projections.queries import due as due_queries
from projections.queries import schedules as schedule_queries
from projections.queries import source_backups
from tests.sample_events import CONTEXT, SOURCE, STORE, draft, uuid_of

pytestmark = pytest.mark.both_databases

NOW = datetime(2025, 1, 14, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def settings(user: int, due: datetime | None, **changes: Any) -> Draft:
    return draft(SettingsCreated, f"schedule/{user}", next_backup_at=due, **changes)


def created(number: int, filename: str, **changes: Any) -> Draft:
    stream = f"backup/{uuid_of(number)}"
    return draft(BackupCreated, stream, filename=filename, **changes)


def on(number: int, kind: Any, **details: Any) -> Draft:
    return draft(kind, f"backup/{uuid_of(number)}", **details)


def test_what_is_due_comes_longest_waiting_first(ledger: Ledger, models: ReadModels) -> None:
    """Users who wait equally long, in the order in which they came; at most so many."""
    ledger.append(
        CONTEXT,
        settings(5, NOW - HOUR),
        settings(3, NOW - 2 * HOUR),
        settings(4, NOW - HOUR),
        settings(1, NOW),
        settings(2, NOW + timedelta(microseconds=1)),
    )
    with models.reading() as connection:
        due = [each.user_id for each in due_queries.due_schedules(connection, NOW, 10)]
        first = [each.user_id for each in due_queries.due_schedules(connection, NOW, 2)]
    assert due == [3, 5, 4, 1]
    assert first == [3, 5]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_what_is_due_can_be_asked_for_a_page_at_a_time(
    ledger: Ledger, models: ReadModels, size: int
) -> None:
    """Nobody is left out between two pages, or found on both; also those who wait equally long."""
    ledger.append(
        CONTEXT,
        *(settings(user, NOW - (user % 3) * HOUR) for user in range(1, 8)),
        settings(9, NOW + HOUR),
    )
    found: list[int] = []
    with models.reading() as connection:
        whole = [each.user_id for each in due_queries.due_schedules(connection, NOW, 10)]
        page = due_queries.due_schedules(connection, NOW, size)
        while page:
            found += [each.user_id for each in page]
            page = due_queries.due_schedules(connection, NOW, size, after=page[-1])
    assert found == whole
    assert sorted(found) == list(range(1, 8))


def test_who_is_disabled_paused_or_running_is_not_due(ledger: Ledger, models: ReadModels) -> None:
    """And is found by user all the same."""
    late = NOW - HOUR
    ledger.append(
        CONTEXT,
        settings(1, late),
        settings(2, late, enabled=False),
        settings(3, late),
        settings(4, late),
        settings(5, None),
        draft(SchedulePaused, "schedule/3", next_backup_at=late),
        draft(BackupStarted, "schedule/4"),
    )
    with models.reading() as connection:
        due = due_queries.due_schedules(connection, NOW, 10)
        everybody = schedule_queries.all_schedules(connection)
        assert schedule_queries.count_schedules(connection) == (4, 5)
        assert schedule_queries.schedule_of(connection, 9) is None
    assert [each.user_id for each in due] == [1]
    assert [each.user_id for each in everybody] == [1, 2, 3, 4, 5]


def test_runs_too_far_ahead_are_found_by_their_frequency(
    ledger: Ledger, models: ReadModels
) -> None:
    """What is too far for a daily backup is not for a weekly one."""
    ledger.append(
        CONTEXT,
        settings(1, NOW + 50 * HOUR),
        settings(2, NOW + 50 * HOUR, frequency="weekly"),
        settings(3, NOW + 40 * HOUR),
        settings(4, NOW + 900 * HOUR, frequency="weekly"),
        settings(5, None),
    )
    limits = {"daily": NOW + 48 * HOUR, "weekly": NOW + 192 * HOUR, "monthly": NOW + 800 * HOUR}
    with models.reading() as connection:
        beyond = due_queries.schedules_beyond(connection, limits)
    assert sorted(each.user_id for each in beyond) == [1, 4]


def test_without_users_nobody_is_an_orphan(ledger: Ledger, models: ReadModels) -> None:
    """The read models' own file knows no users, so all exist."""
    ledger.append(CONTEXT, settings(1, NOW))
    with models.reading() as connection:
        assert schedule_queries.orphaned_users(connection) == set()
        assert schedule_queries.user_exists(connection, 12345)


def test_backups_of_a_store_are_those_whose_file_should_be_there(
    ledger: Ledger, models: ReadModels
) -> None:
    """Newest first; every one of them only where that is asked."""
    ledger.append(
        CONTEXT,
        *(created(number, f"{number}.db") for number in range(1, 6)),
        created(6, "6.db", store=uuid_of(700)),
        on(2, BackupCorrupt),
        on(3, BackupMissing),
        on(4, DeletionStarted),
        on(5, DeletionStarted),
        on(5, BackupDeleted),
    )
    with models.reading() as connection:
        present = catalog_queries.backups_of_store(connection, STORE)
        every = catalog_queries.backups_of_store(connection, STORE, None)
        last = source_backups.last_backup_of_source(connection, SOURCE)
    assert [each.filename for each in present] == ["2.db", "1.db"]
    assert [each.filename for each in every] == ["5.db", "4.db", "3.db", "2.db", "1.db"]
    assert last is not None
    assert last.filename == "6.db"


def test_an_adopted_backup_stands_where_its_file_belongs_in_time(
    ledger: Ledger, models: ReadModels
) -> None:
    """By the file's age, not by when it was found."""
    old = draft(BackupFound, f"backup/{uuid_of(2)}", filename="old.db", created_at=NOW - 99 * HOUR)
    ledger.append(CONTEXT, created(1, "new.db"), old)
    with models.reading() as connection:
        found = catalog_queries.backups_of_store(connection, STORE)
    assert [each.filename for each in found] == ["new.db", "old.db"]


@pytest.mark.parametrize("again", [False, True], ids=["deleted", "made again"])
def test_a_name_means_the_backup_that_has_it_now(
    ledger: Ledger, models: ReadModels, again: bool
) -> None:
    """Or else the one that had it last."""
    ledger.append(CONTEXT, created(1, "a.db"), on(1, BackupDeleted, filename="a.db"))
    ledger.append(CONTEXT, created(2, "a.db"), on(2, BackupDeleted, filename="a.db"))
    if again:
        ledger.append(CONTEXT, created(3, "a.db"), on(3, BackupMissing))
    with models.reading() as connection:
        found = catalog_queries.backup_named(connection, STORE, "a.db")
        assert catalog_queries.backup_named(connection, STORE, "b.db") is None
    assert found is not None
    assert found.backup_id == uuid_of(3 if again else 2)


def test_backups_are_found_by_run_by_id_and_by_shared_file(
    ledger: Ledger, models: ReadModels
) -> None:
    """However many are asked for at once."""
    first, run = uuid_of(1), uuid_of(50)
    ledger.append(
        CONTEXT,
        created(1, "1.db", run_id=run),
        created(2, "2.db", run_id=None, shared_with=first),
        created(3, "3.db", run_id=None),
    )
    wanted = [uuid_of(number) for number in range(1, 1_500)]
    with models.reading() as connection:
        of_runs = catalog_queries.backups_of_runs(connection, [run, *wanted])
        several = catalog_queries.backups_with_ids(connection, wanted)
        sharing = catalog_queries.backups_sharing(connection, first)
        assert catalog_queries.backup_with_id(connection, uuid_of(9)) is None
    assert {run_id: each.backup_id for run_id, each in of_runs.items()} == {run: first}
    assert sorted(several) == [uuid_of(1), uuid_of(2), uuid_of(3)]
    assert {each.filename for each in sharing} == {"1.db", "2.db"}
