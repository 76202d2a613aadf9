"""The recorder: positions without gaps, all or nothing, and the tree beside the events."""

from __future__ import annotations

from datetime import timedelta

import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent
from sqlalchemy import update

from ledger.append.ledger import Ledger
from ledger.append.tables import head
from ledger.clock import ManualClock, to_microseconds
from ledger.errors import ConcurrencyConflict, LedgerBroken, LedgerError
from tests.conftest import START, OpenLedger
from tests.databases import without_guards
from tests.ledger.stored_tree import recomputed_tree, stored_tree

HOUR = timedelta(hours=1)


def stored(stream: str, version: int, state: bytes = b"record") -> StoredEvent:
    return StoredEvent(stream, version, "some_type", state)


def some(first: int, count: int) -> list[StoredEvent]:
    numbers = range(first, first + count)
    return [stored("a", number, b"record %d" % number) for number in numbers]


@pytest.mark.both_databases
def test_head_and_nodes_are_those_of_the_records_at_every_size(ledger: Ledger) -> None:
    """Whatever was appended at once, 0, 1 or hundreds of events, across full tiles of 256."""
    assert stored_tree(ledger) == recomputed_tree(ledger)
    batches = [*[1] * 9, 7, 100, 138, 1, 1, 1, 255, 256, 1, 300, 25]
    for batch in batches:
        size = ledger.log_recorder.head().size
        positions = ledger.log_recorder.insert_events(some(size, batch))
        assert positions == list(range(size + 1, size + batch + 1))
        assert stored_tree(ledger) == recomputed_tree(ledger)
    assert set(stored_tree(ledger).nodes) == {
        (8, 0),
        (8, 1),
        (8, 2),
        (8, 3),
        (9, 0),
        (9, 1),
        (10, 0),
    }


@pytest.mark.both_databases
def test_an_append_that_loses_says_which_streams_moved(ledger: Ledger) -> None:
    """The conflict is the library's integrity error and one of ours; nothing was appended."""
    recorder = ledger.log_recorder
    recorder.insert_events([stored("a", 1), stored("b", 1), stored("c", 1)])
    before = stored_tree(ledger)
    with pytest.raises(ConcurrencyConflict) as caught:
        recorder.insert_events([stored("d", 1), stored("c", 1), stored("a", 2), stored("b", 1)])
    assert set(caught.value.streams) == {"b", "c"}
    assert isinstance(caught.value, IntegrityError)
    assert isinstance(caught.value, LedgerError)
    assert stored_tree(ledger) == before == recomputed_tree(ledger)
    assert recorder.select_events("d") == []


@pytest.mark.both_databases
def test_two_events_of_one_version_in_one_append_are_a_conflict(ledger: Ledger) -> None:
    """Also where the ledger itself has neither of them yet."""
    with pytest.raises(ConcurrencyConflict) as caught:
        ledger.log_recorder.insert_events([stored("x", 1), stored("a", 1), stored("a", 1)])
    assert "a" in caught.value.streams
    assert ledger.log_recorder.head().size == 0


@pytest.mark.both_databases
def test_an_exception_under_the_lock_appends_nothing(ledger: Ledger) -> None:
    """Not even what was inserted before it; and the lock is free again."""

    def fail_after_inserting() -> None:
        with ledger.log_recorder.locked() as locked:
            locked.insert(some(1, 300))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_inserting()
    assert stored_tree(ledger) == recomputed_tree(ledger)
    assert ledger.log_recorder.head().size == 0
    assert ledger.log_recorder.insert_events(some(1, 2)) == [1, 2]


@pytest.mark.both_databases
def test_several_inserts_under_one_lock_are_one_append(ledger: Ledger) -> None:
    """The head that the second one sees is that of the first."""
    with ledger.log_recorder.locked() as locked:
        assert locked.insert(some(1, 200)) == list(range(1, 201))
        assert locked.insert([]) == []
        assert locked.insert(some(201, 100)) == list(range(201, 301))
        assert locked.head.size == 300
        assert locked.stream_versions(["a", "b"]) == {"a": 300, "b": 0}
        assert [each.position for each in locked.records_after(298)] == [299, 300]
        assert len(locked.select_events("a")) == 300
    assert stored_tree(ledger) == recomputed_tree(ledger)


@pytest.mark.both_databases
def test_nothing_to_append_is_no_append(ledger: Ledger) -> None:
    """The library asks for None here."""
    assert ledger.log_recorder.insert_events([]) is None
    assert ledger.log_recorder.max_notification_id() is None


def recorded_at(ledger: Ledger) -> list[int]:
    return [row.recorded_at for row in ledger.records()]


@pytest.mark.both_databases
def test_recorded_at_follows_the_clock(ledger: Ledger, clock: ManualClock) -> None:
    """In microseconds since 1970, the same for all events of an append."""
    ledger.log_recorder.insert_events(some(1, 2))
    clock.advance(timedelta(microseconds=1))
    ledger.log_recorder.insert_events(some(3, 1))
    start = to_microseconds(START)
    assert recorded_at(ledger) == [start, start, start + 1]


@pytest.mark.both_databases
@pytest.mark.parametrize("behind", [timedelta(microseconds=1), HOUR])
def test_recorded_at_does_not_follow_a_clock_that_is_a_little_behind(
    ledger: Ledger, clock: ManualClock, behind: timedelta
) -> None:
    """Up to an hour: then it stands still, so that as-of stays one index look-up."""
    ledger.log_recorder.insert_events(some(1, 1))
    clock.move_to(START - behind)
    ledger.log_recorder.insert_events(some(2, 1))
    assert recorded_at(ledger) == [to_microseconds(START)] * 2


@pytest.mark.both_databases
def test_recorded_at_follows_a_clock_that_is_more_than_an_hour_behind(
    ledger: Ledger, clock: ManualClock
) -> None:
    """One wrong clock must not freeze all later times; head and events agree on it."""
    ledger.log_recorder.insert_events(some(1, 1))
    earlier = START - HOUR - timedelta(microseconds=1)
    clock.move_to(earlier)
    ledger.log_recorder.insert_events(some(2, 1))
    clock.advance(-timedelta(minutes=1))
    ledger.log_recorder.insert_events(some(3, 1))
    assert recorded_at(ledger) == [to_microseconds(each) for each in (START, earlier, earlier)]
    assert ledger.log_recorder.head().recorded_at == to_microseconds(earlier)


def test_a_head_that_is_behind_the_events_is_reported_as_broken(ledger: Ledger) -> None:
    """Trying again would never help, so it is not a conflict."""
    ledger.log_recorder.insert_events(some(1, 3))
    with ledger.engine.begin() as connection:
        old = connection.execute(head.select()).one()
    ledger.log_recorder.insert_events(some(4, 1))
    with ledger.engine.begin() as connection:
        without_guards(connection)
        connection.execute(update(head).values(size=3, root=old.root, frontier=old.frontier))
    with pytest.raises(LedgerBroken, match="3 events, but the last one has position 4"):
        ledger.log_recorder.insert_events(some(5, 1))


@pytest.mark.both_databases
@pytest.mark.parametrize("change", [{"frontier": b"x"}, {"size": 4}, {"size": -1}])
def test_a_damaged_head_is_reported_as_broken(ledger: Ledger, change: dict[str, object]) -> None:
    """Nothing is appended to a tree that contradicts itself."""
    ledger.log_recorder.insert_events(some(1, 3))
    with ledger.engine.begin() as connection:
        without_guards(connection)
        connection.execute(update(head).values(**change))
    with pytest.raises(LedgerBroken, match="damaged"):
        ledger.log_recorder.insert_events(some(4, 1))


@pytest.mark.both_databases
def test_a_missing_head_is_reported_as_broken(ledger: Ledger) -> None:
    """Its absence is not read as an empty ledger."""
    with ledger.engine.begin() as connection:
        connection.execute(head.delete())
    with pytest.raises(LedgerBroken, match="no row"):
        ledger.log_recorder.head()


@pytest.mark.both_databases
def test_another_opening_of_the_same_file_goes_on_where_the_first_ended(
    ledger: Ledger, open_ledger: OpenLedger
) -> None:
    """The head is in the file, not in memory."""
    other = open_ledger()
    for number in range(1, 7):
        each = ledger if number % 2 else other
        assert each.log_recorder.insert_events([stored("a", number)]) == [number]
    assert stored_tree(ledger) == recomputed_tree(other)
