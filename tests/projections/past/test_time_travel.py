"""The past from the ledger alone: at every position, for everybody and for one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent
from sqlalchemy import select

from ledger.append.ledger import Ledger
from ledger.clock import ManualClock
from ledger.events.catalog import BackupCreated, BackupFound
from ledger.events.scheduling import (
    BackupStarted,
    SchedulePaused,
    SettingsCreated,
    SettingsUpdated,
)
from projections.errors import UnreadableEvent
from projections.past.as_of import AsOf, as_of, moment_of
from projections.past.changes import Change, changes_between
from projections.past.moment import NoSuchPosition
from projections.projector.read_models import ReadModels
from projections.tables.columns import backup_settings
from tests.conftest import START
from tests.projections.conftest import OpenReadModels, folded_one_by_one
from tests.projections.stories import drafts_of, random_steps, tell
from tests.sample_events import CONTEXT, NEXT, draft, uuid_of

HOUR = timedelta(hours=1)
Rows = list[dict[str, Any]]


def rows(things: Any, key: str) -> Rows:
    """Dataclasses as the rows that they are, in the order of the primary key."""
    found = [{each.name: getattr(one, each.name) for each in fields(one)} for one in things]
    return sorted(found, key=lambda row: row[key])


def in_order(table_rows: Rows, key: str) -> Rows:
    return sorted(table_rows, key=lambda row: row[key])


@pytest.mark.slow
@pytest.mark.both_databases
def test_every_position_is_what_the_read_models_showed_there(ledger: Ledger) -> None:
    """For all users at once, and for each alone."""
    for position, expected in enumerate(folded_one_by_one(ledger, tell(ledger, 1, 40))):
        settings, catalog = expected["backup_settings"], expected["backup_catalog"]
        found = as_of(ledger, position)
        assert rows(found.schedules, "id") == settings, position
        assert rows(found.backups, "backup_id") == catalog, position
        for user_id in (1, 2, 3):
            of_user = as_of(ledger, position, user_id)
            wanted = [row for row in settings if row["user_id"] == user_id]
            assert rows(of_user.schedules, "id") == wanted, (position, user_id)
            wanted = [row for row in catalog if row["user_id"] == user_id]
            assert rows(of_user.backups, "backup_id") == wanted, (position, user_id)


@pytest.mark.both_databases
def test_root_and_time_are_those_of_the_position(ledger: Ledger, clock: ManualClock) -> None:
    """The root is the one that the ledger had when it ended there."""
    roots = [ledger.log_recorder.head().frontier.root()]
    for drafted in drafts_of(random_steps(4, 12)):
        clock.advance(HOUR)
        ledger.append(CONTEXT, drafted)
        roots.append(ledger.log_recorder.head().frontier.root())
    for position, root in enumerate(roots):
        moment = moment_of(ledger, position)
        assert (moment.asked, moment.position, moment.root) == (position, position, root)
        assert moment.recorded_at == (START + position * HOUR if position else None)
        assert moment.clock_jump is None


def append_at(ledger: Ledger, clock: ManualClock, *hours: float) -> None:
    """An event at each of these hours after the start."""
    for each in hours:
        clock.move_to(START + each * HOUR)
        ledger.append(CONTEXT, draft(SchedulePaused))


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("hours", "asked", "position", "clock_jump"),
    [
        ((), 1, 0, None),
        ((1, 2, 3), 0.9, 0, None),
        ((1, 2, 3), 1, 1, None),
        ((1, 2, 3), 2.5, 2, None),
        ((1, 2, 2, 2, 3), 2, 4, None),
        ((1, 2, 3), 99, 3, None),
        # Set ahead by days, noticed and set back: what came after counts, and the jump is told.
        # The ledger records each jump back before what comes after it, at a position of its own.
        ((1, 2, 50, 51, 3, 4), 3, 6, 3),
        ((1, 2, 50, 51, 3, 4), 2, 2, None),
        ((1, 2, 50, 51, 3, 4), 50, 7, 4),
        ((1, 2, 50, 51, 3, 4), 51, 7, None),
        ((1, 2, 50, 51, 3, 4), 0, 0, None),
        ((10, 1), 1, 3, 1),
        ((10, 1), 0, 0, None),
        ((10, 1, 20, 2, 30), 2, 6, 1),
        ((10, 1, 20, 2, 30), 15, 6, 4),
    ],
)
def test_a_time_is_the_last_position_written_by_then(
    ledger: Ledger,
    clock: ManualClock,
    hours: tuple[float, ...],
    asked: float,
    position: int,
    clock_jump: int | None,
) -> None:
    """And an earlier one whose time is later is named, as where clocks ran backwards."""
    append_at(ledger, clock, *hours)
    moment = moment_of(ledger, START + asked * HOUR)
    assert (moment.position, moment.clock_jump) == (position, clock_jump)
    written = [recorded.recorded_at for recorded in ledger.recorded()]
    wanted = (START + asked * HOUR - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    by_hand = [number for number, each in enumerate(written, 1) if each <= wanted]
    assert moment.position == max(by_hand, default=0)
    later = [number for number, each in enumerate(written[:position], 1) if each > wanted]
    assert moment.clock_jump == min(later, default=None)


@pytest.mark.both_databases
def test_a_position_written_after_a_clock_was_set_back_says_so(
    ledger: Ledger, clock: ManualClock
) -> None:
    """Its time is its own; an earlier one that is later is named. Position 3 is the jump."""
    append_at(ledger, clock, 1, 50, 3, 60)
    assert [moment_of(ledger, position).clock_jump for position in range(6)] == [
        None,
        None,
        None,
        2,
        2,
        None,
    ]
    assert moment_of(ledger, 3).recorded_at == START + 3 * HOUR
    assert moment_of(ledger, 4).recorded_at == START + 3 * HOUR


@pytest.mark.both_databases
def test_a_time_may_be_told_in_any_zone_but_must_tell_it(ledger: Ledger) -> None:
    """A naive time could mean anything."""
    end = tell(ledger)
    elsewhere = START.astimezone(timezone(timedelta(hours=-9)))
    assert moment_of(ledger, elsewhere).position == end
    with pytest.raises(ValueError, match="no time zone"):
        moment_of(ledger, START.replace(tzinfo=None))


@pytest.mark.both_databases
@pytest.mark.parametrize("position", [-1, 8, 2**70])
def test_a_position_that_the_ledger_does_not_have_is_an_error(
    ledger: Ledger, position: int
) -> None:
    """Named, with where it ends."""
    ledger.append(CONTEXT, *drafts_of(random_steps(1, 20))[:7])
    with pytest.raises(NoSuchPosition, match=rf"no position {position}.*ends at 7"):
        as_of(ledger, position)


@pytest.mark.both_databases
def test_before_the_first_event_there_is_nothing(ledger: Ledger) -> None:
    """Position 0 is a place like any other."""
    tell(ledger)
    for asked in (0, START - HOUR, datetime.min.replace(tzinfo=UTC)):
        found = as_of(ledger, asked)
        assert found.moment.position == 0
        assert (found.schedules, found.backups, found.due) == ((), (), ())


@pytest.mark.both_databases
def test_the_past_does_not_change_with_what_comes_after(ledger: Ledger) -> None:
    """The same answer before and after more was appended."""
    end = tell(ledger, count=40)
    before = as_of(ledger, end)
    tell_more = drafts_of(random_steps(9, 200))
    births = (SettingsCreated, BackupCreated, BackupFound, BackupStarted)
    ledger.append(CONTEXT, *(each for each in tell_more if not isinstance(each.details, births)))
    assert as_of(ledger, end) == before


def due_users(found: AsOf) -> list[int]:
    return [each.user_id for each in found.due]


@pytest.mark.both_databases
def test_what_was_due_is_told_by_the_schedulers_rule(ledger: Ledger, clock: ManualClock) -> None:
    """Enabled, not paused, no open run, and not later than then; longest waiting first."""

    def created(user: int, due: datetime, **changes: Any) -> Any:
        stream = f"schedule/{user}"
        return draft(SettingsCreated, stream, owner=user, next_backup_at=due, **changes)

    ledger.append(
        CONTEXT,
        created(1, START + 3 * HOUR),
        created(2, START + 2 * HOUR),
        created(3, START + 2 * HOUR),
        created(4, START + 1 * HOUR, enabled=False),
        created(5, START + 1 * HOUR),
        draft(SchedulePaused, "schedule/5", next_backup_at=START + HOUR),
        created(6, START + HOUR),
        draft(BackupStarted, "schedule/6"),
        created(7, START + 9 * HOUR),
    )
    assert due_users(as_of(ledger, START)) == []
    assert due_users(as_of(ledger, START + 2 * HOUR)) == [2, 3]
    assert due_users(as_of(ledger, START + 3 * HOUR)) == [2, 3, 1]
    assert due_users(as_of(ledger, START + 3 * HOUR, 3)) == [3]
    assert due_users(as_of(ledger, 9)) == []  # at a position the time is that of its event
    clock.advance(5 * HOUR)
    ledger.append(CONTEXT, draft(BackupStarted, "schedule/2"))
    assert due_users(as_of(ledger, 10)) == [3, 1]
    assert due_users(as_of(ledger, START + 3 * HOUR)) == [2, 3, 1]


def test_read_models_that_are_wrong_change_nothing(
    ledger: Ledger, open_models: OpenReadModels, models_path: Path
) -> None:
    """The ledger alone is asked, even for where to look."""
    end = tell(ledger)
    before = [as_of(ledger, end, user) for user in (None, 1)]
    models = open_models()
    assert models.catch_up()
    with models.engine.connect() as connection:
        assert connection.execute(select(backup_settings)).all()
    with sqlite3.connect(models_path) as connection_by_hand:
        for table in ("backup_settings", "backup_catalog", "audit_trail"):
            connection_by_hand.execute(f"UPDATE {table} SET user_id = user_id + 100")
            connection_by_hand.execute(f"DELETE FROM {table} WHERE rowid % 2")
    connection_by_hand.close()
    assert [as_of(ledger, end, user) for user in (None, 1)] == before


@pytest.mark.both_databases
def test_an_event_that_cannot_be_read_is_named(ledger: Ledger) -> None:
    """Before it everything can be told, from it on nothing; other things' events do not matter."""
    end = tell(ledger, count=30)
    ledger.log_recorder.insert_events([StoredEvent("ledger", 99, "ledger.unheard_of", b"{}")])
    unknown = StoredEvent("schedule/1", 99, "backup_scheduler.of_tomorrow", b"{}")
    ledger.log_recorder.insert_events([unknown])
    as_of(ledger, end)
    for user_id in (None, 1):
        with pytest.raises(UnreadableEvent, match=rf"position {end + 1}|position {end + 2}"):
            as_of(ledger, end + 2, user_id)
    as_of(ledger, end + 2, 2)


def test_an_unknown_event_of_a_user_is_not_passed_over(ledger: Ledger) -> None:
    """It may be a new kind of birth, of a backup that this software would leave out."""
    record = b'{"event_type":"backup_catalog.of_tomorrow","user_id":"1"}'
    unknown = StoredEvent("backup/x", 1, "backup_catalog.of_tomorrow", record)
    ledger.log_recorder.insert_events([unknown])
    with pytest.raises(UnreadableEvent, match=r"position 1 \(backup_catalog.of_tomorrow\)"):
        as_of(ledger, 1, 1)
    assert as_of(ledger, 1, 11).backups == ()


Found = Callable[[int], dict[str, Change]]


@pytest.fixture
def changed_settings(ledger: Ledger) -> Found:
    """Changes from a position to the end, by stream."""
    ledger.append(
        CONTEXT,
        draft(SettingsCreated, "schedule/1", owner=1),
        draft(BackupCreated, owner=1),
        draft(SettingsUpdated, "schedule/1", owner=1, after={"keep_count": 9}, next_backup_at=NEXT),
        draft(SettingsCreated, "schedule/2", owner=2),
    )

    def since(position: int) -> dict[str, Change]:
        return {each.stream: each for each in changes_between(ledger, position, 4)}

    return since


@pytest.mark.both_databases
def test_changes_name_each_field_before_and_after(changed_settings: Found) -> None:
    """Only what differs; what is new has nothing before."""
    assert changed_settings(4) == {}
    found = changed_settings(2)
    assert list(found) == ["schedule/1", "schedule/2"]
    assert found["schedule/1"].fields == {"keep_count": (7, 9), "stream_version": (1, 2)}
    assert not found["schedule/1"].is_new
    assert found["schedule/2"].is_new
    assert found["schedule/2"].fields["user_id"] == (None, 2)
    assert found["schedule/2"].fields["id"] == (None, 2)
    assert list(changed_settings(0)) == ["schedule/1", "schedule/2", f"backup/{uuid_of(2)}"]


@pytest.mark.slow
@pytest.mark.both_databases
@pytest.mark.parametrize("seed", [5])
def test_changes_are_the_difference_of_two_folds(ledger: Ledger, seed: int) -> None:
    """Between any two positions, row by row and field by field."""
    end = tell(ledger, seed, 45)
    states = [
        {
            f"{kind}/{row[key]}": row
            for kind, key, table in (
                ("schedule", "user_id", "backup_settings"),
                ("backup", "backup_id", "backup_catalog"),
            )
            for row in expected[table]
        }
        for expected in folded_one_by_one(ledger, end)
    ]
    for first in range(0, end + 1, 4):
        for last in range(first, end + 1, 3):
            before, after = states[first], states[last]
            expected = {
                stream: {
                    name: (before.get(stream, {}).get(name), value)
                    for name, value in row.items()
                    if before.get(stream, {}).get(name) != value
                }
                for stream, row in after.items()
                if row != before.get(stream)
            }
            found = {each.stream: each.fields for each in changes_between(ledger, first, last)}
            assert found == expected, (first, last)


@pytest.mark.both_databases
def test_changes_want_two_positions_in_order(ledger: Ledger) -> None:
    """The earlier one first, and both there."""
    end = tell(ledger, count=10)
    with pytest.raises(ValueError, match="the earlier one first"):
        changes_between(ledger, 2, 1)
    with pytest.raises(NoSuchPosition):
        changes_between(ledger, 0, end + 1)
    with pytest.raises(NoSuchPosition):
        changes_between(ledger, -1, end)


@pytest.mark.both_databases
def test_a_position_counts_as_long_as_the_fold_does(ledger: Ledger) -> None:
    """At the head, the past is the present."""
    end = tell(ledger)
    models = ReadModels.in_memory(ledger)
    assert models.catch_up()
    with models.reading() as connection:
        now = [dict(row) for row in connection.execute(select(backup_settings)).mappings()]
    models.close()
    assert rows(as_of(ledger, end).schedules, "id") == in_order(now, "id")
