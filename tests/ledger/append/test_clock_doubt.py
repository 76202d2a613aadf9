"""When a clock is in doubt, by what was recorded alone; and that a jump is recorded as one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ledger.append import clock_doubt as doubts_of_clocks
from ledger.append.clock_doubt import clock_doubt, last_jump_ahead
from ledger.append.ledger import Ledger
from ledger.append.prepared import Prepared
from ledger.clock import ManualClock, to_microseconds
from ledger.events.housekeeping import ClockJumped, SourceRegistered
from tests.sample_events import CONTEXT, draft

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
UNIX = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def recorded(ledger: Ledger, clock: ManualClock) -> Callable[..., Ledger]:
    """A ledger with an event at each of some times, and nothing else."""

    def write(*moments: datetime) -> Ledger:
        for moment in moments:
            clock.move_to(moment)
            ledger.append(CONTEXT, draft(SourceRegistered))
        return ledger

    return write


def doubts(ledger: Ledger, now: datetime) -> str | None:
    with ledger.engine.connect() as connection:
        return clock_doubt(connection, to_microseconds(now))


@pytest.mark.parametrize(
    ("moments", "now", "is_in_doubt"),
    [
        ([NOW], NOW, False),
        ([NOW], NOW + 60 * DAY, False),
        ([NOW], NOW - HOUR, False),
        ([NOW], NOW - HOUR - timedelta(seconds=1), True),
        ([NOW], NOW + 365 * DAY, False),
        ([NOW], NOW + 366 * DAY, True),
        ([NOW, UNIX], UNIX + HOUR, True),
        ([NOW, UNIX, UNIX + DAY], UNIX + DAY, False),
        ([NOW, UNIX], NOW, False),
        ([NOW, UNIX, NOW], NOW, False),
        ([UNIX, NOW], NOW, True),
        ([UNIX, NOW, NOW + DAY], NOW + DAY, False),
        ([NOW, NOW + 900 * DAY, NOW + DAY], NOW + DAY, True),
        ([NOW, NOW + 900 * DAY, NOW + DAY, NOW + 2 * DAY], NOW + 2 * DAY, False),
        ([NOW, NOW + 900 * DAY, UNIX, NOW + DAY], NOW + DAY, True),
        ([NOW, NOW + 20 * DAY, NOW + DAY, NOW + 1.5 * DAY], NOW + 1.5 * DAY, True),
        ([NOW, NOW + 20 * DAY, NOW + DAY], NOW + 20 * DAY, False),
    ],
)
def test_a_clock_is_in_doubt_until_it_is_where_it_was_or_has_gone_on_for_a_day(
    recorded: Callable[..., Ledger], moments: list[datetime], now: datetime, is_in_doubt: bool
) -> None:
    """Two months off are not a jump; a year is."""
    assert (doubts(recorded(*moments), now) is not None) == is_in_doubt


def test_whoever_appends_first_records_the_jump(recorded: Callable[..., Ledger]) -> None:
    """Once, before what was to be said; a clock that runs is not a jump."""
    ledger = recorded(NOW, NOW + DAY, UNIX, UNIX + HOUR, NOW + DAY)
    jumps = [
        (each.event.details.before, each.event.details.now)
        for each in ledger.recorded()
        if isinstance(each.event.details, ClockJumped)
    ]
    assert jumps == [(NOW + DAY, UNIX), (UNIX + HOUR, NOW + DAY)]


def test_a_jump_ahead_leads_to_a_time(recorded: Callable[..., Ledger]) -> None:
    """For a day; and also before anybody appended."""
    ledger = recorded(UNIX, NOW, NOW + HOUR)
    with ledger.engine.connect() as connection:
        assert last_jump_ahead(connection, to_microseconds(NOW + HOUR)) == to_microseconds(NOW)
        ahead = to_microseconds(NOW + 900 * DAY)
        assert last_jump_ahead(connection, ahead) == ahead


def test_a_ledger_without_jumps_has_none(recorded: Callable[..., Ledger]) -> None:
    """However long it was silent, up to a year."""
    ledger = recorded(NOW, NOW + DAY, NOW + 60 * DAY)
    with ledger.engine.connect() as connection:
        assert last_jump_ahead(connection, to_microseconds(NOW + 61 * DAY)) is None


def test_no_question_sorts_the_whole_ledger(ledger: Ledger) -> None:
    """Each run asks; on a million events a sort of all that is older takes a third of a second."""
    questions = [each for each in vars(doubts_of_clocks).values() if isinstance(each, Prepared)]
    assert len(questions) >= 8
    with ledger.engine.connect() as connection:
        for question in questions:
            asked = str(question.statement.compile(connection))  # type: ignore[attr-defined]
            wanted = tuple([1] * asked.count("?"))
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", wanted).all()
            assert "TEMP B-TREE" not in str(plan), (asked, plan)
