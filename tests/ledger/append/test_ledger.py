"""The ledger as commands use it: appending, deciding, folding and reading."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from eventsourcing.persistence import IntegrityError

from ledger.append import ledger as application
from ledger.append.ledger import Draft, Ledger
from ledger.append.recorder import LockedHead
from ledger.clock import ManualClock, to_microseconds
from ledger.errors import ConcurrencyConflict, RecordError
from ledger.events.catalog import HoldPlaced
from ledger.events.housekeeping import SourceOptimized
from ledger.events.retention import RetentionSpared
from ledger.events.scheduling import SchedulePaused, SettingsCreated, SettingsUpdated
from ledger.records.record import Event, decode_event
from tests.conftest import START, MakeContext, OpenLedger
from tests.sample_events import draft, sample, uuid_of

SCHEDULE = "schedule/1"


def streams(ledger: Ledger) -> list[tuple[str, int]]:
    return [(row.stream, row.stream_version) for row in ledger.records()]


@pytest.mark.both_databases
def test_drafts_become_events_with_the_contexts_envelope(
    ledger: Ledger, clock: ManualClock, context: MakeContext
) -> None:
    """Who, why and when; the timestamp is the clock's at the append, not the context's now."""
    command = replace(context("user", "7"), causation_id=uuid_of(8)).correlated(uuid_of(9))
    clock.advance(timedelta(seconds=2))
    (recorded,) = ledger.append(command, draft(SettingsCreated, owner=1, event_id=uuid_of(5)))
    event = recorded.event
    assert (recorded.position, recorded.recorded_at) == (1, to_microseconds(clock.now()))
    assert (event.actor.kind, event.actor.id) == ("user", "7")
    assert (event.event_id, event.causation_id, event.correlation_id) == (
        uuid_of(5),
        uuid_of(8),
        uuid_of(9),
    )
    assert event.timestamp == START + timedelta(seconds=2)
    assert (event.resource_id, event.user_id, event.success) == ("1", "1", True)


@pytest.mark.both_databases
def test_a_drafts_own_cause_and_correlation_come_before_the_contexts(
    ledger: Ledger, context: MakeContext
) -> None:
    """A run's events carry the run, whichever command appends them."""
    one = draft(SettingsCreated, causation_id=uuid_of(1), correlation_id=uuid_of(2))
    (recorded,) = ledger.append(replace(context(), causation_id=uuid_of(3)), one)
    assert recorded.event.causation_id == uuid_of(1)
    assert recorded.event.correlation_id == uuid_of(2)


@pytest.mark.both_databases
def test_events_of_one_command_share_its_correlation(ledger: Ledger, context: MakeContext) -> None:
    """And another command has another one."""
    first, second = context(), context()
    recorded = ledger.append(first, draft(SettingsCreated), draft(SourceOptimized))
    assert {each.event.correlation_id for each in recorded} == {first.correlation_id}
    assert first.correlation_id != second.correlation_id


@pytest.mark.both_databases
def test_what_is_returned_is_what_is_stored(ledger: Ledger, context: MakeContext) -> None:
    """Position, event and bytes agree."""
    returned = ledger.append(context(), draft(SettingsCreated), draft(HoldPlaced))
    assert list(ledger.recorded()) == returned
    for row, recorded in zip(ledger.records(), returned, strict=True):
        assert decode_event(row.record) == recorded.event
        assert row.event_type == recorded.event.event_type


@pytest.mark.both_databases
def test_one_append_may_have_many_streams(ledger: Ledger, context: MakeContext) -> None:
    """Each counts its own versions."""
    ledger.append(context(), draft(SettingsCreated))
    ledger.append(context(), draft(SchedulePaused), draft(HoldPlaced), draft(SettingsUpdated))
    backup = draft(HoldPlaced).stream
    assert streams(ledger) == [(SCHEDULE, 1), (SCHEDULE, 2), (backup, 1), (SCHEDULE, 3)]


@pytest.mark.both_databases
def test_no_drafts_append_nothing(ledger: Ledger, context: MakeContext) -> None:
    """A decision may be to do nothing."""
    assert ledger.append(context()) == []
    assert ledger.decide(context(), lambda _locked: iter(())) == []
    assert ledger.log_recorder.head().size == 0


@pytest.mark.both_databases
@pytest.mark.parametrize("expected", [0, 1, 3])
def test_a_draft_with_another_version_in_mind_loses(
    ledger: Ledger, context: MakeContext, expected: int
) -> None:
    """The whole append does, also its drafts that expect nothing."""
    ledger.append(context(), draft(SettingsCreated), draft(SchedulePaused))
    stale = draft(SettingsUpdated, expected_version=expected)
    with pytest.raises(ConcurrencyConflict, match="schedule/1") as caught:
        ledger.append(context(), draft(SourceOptimized), stale)
    assert caught.value.streams == (SCHEDULE,)
    assert isinstance(caught.value, IntegrityError)
    assert ledger.log_recorder.head().size == 2


@pytest.mark.both_databases
def test_drafts_that_expect_the_version_before_the_append_go_in_together(
    ledger: Ledger, context: MakeContext
) -> None:
    """Claim and missed slots are one append on one stream."""
    ledger.append(context(), draft(SettingsCreated, expected_version=0))
    pair = [draft(kind, expected_version=1) for kind in (SchedulePaused, SettingsUpdated)]
    ledger.append(context(), *pair)
    assert streams(ledger)[-1] == (SCHEDULE, 3)


@pytest.mark.both_databases
def test_a_decision_sees_what_was_appended_meanwhile(
    ledger: Ledger, open_ledger: OpenLedger, context: MakeContext
) -> None:
    """Fold before the lock, then only what came after: nothing is overlooked."""
    ledger.append(context(), draft(SettingsCreated))
    known = ledger.log_recorder.head().size
    open_ledger().append(context(), draft(SchedulePaused))
    seen: list[str] = []

    def decision(locked: LockedHead) -> list[Draft]:
        seen.extend(decode_event(row.record).event_type for row in locked.records_after(known))
        assert locked.stream_versions([SCHEDULE]) == {SCHEDULE: 2}
        return [draft(SettingsUpdated, expected_version=2)]

    (recorded,) = ledger.decide(context(), decision)
    assert seen == ["backup_scheduler.paused"]
    assert recorded.event.stream_version == 3


@pytest.mark.both_databases
def test_an_exception_in_a_decision_appends_nothing(ledger: Ledger, context: MakeContext) -> None:
    """Not even what the decision appended before it, and the lock is given back."""

    def decision(locked: LockedHead) -> list[Draft]:
        ledger.append_locked(locked, context(), [draft(SettingsCreated)])
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        ledger.decide(context(), decision)
    assert ledger.log_recorder.head().size == 0
    assert len(ledger.append(context(), draft(SettingsCreated))) == 1


@pytest.mark.both_databases
def test_two_appends_under_one_lock_see_each_other(ledger: Ledger, context: MakeContext) -> None:
    """Versions and positions go on from the first to the second."""
    with ledger.locked() as locked:
        (first,) = ledger.append_locked(locked, context(), [draft(SettingsCreated)])
        (second,) = ledger.append_locked(locked, context(), [draft(SchedulePaused)])
    assert [first.position, second.position] == [1, 2]
    assert second.event.stream_version == 2


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "bad",
    [
        draft(SettingsCreated, "schedule/0"),
        draft(SettingsCreated, "backup/1"),
        draft(SettingsCreated, owner=0),
        draft(SettingsCreated, owner=2**63),
        draft(SettingsCreated, event_id="x"),
        Draft("schedule/1", sample(SettingsUpdated, before={"Keep": 1})),
        Draft("retention/1", sample(RetentionSpared, scope="\ud800")),
    ],
    ids=lambda bad: f"{bad.stream}-{bad.owner}",
)
def test_a_draft_that_is_no_valid_event_stops_the_whole_append(
    ledger: Ledger, context: MakeContext, bad: Draft
) -> None:
    """It is a record error of one line, and its good neighbors are not appended either."""
    with pytest.raises(RecordError) as caught:
        ledger.append(context(), draft(SourceOptimized), bad)
    assert "\n" not in str(caught.value)
    assert ledger.log_recorder.head().size == 0


def count(state: list[str] | None, event: Event) -> list[str] | None:
    """A fold that begins with the first paused event."""
    if state is None and not isinstance(event.details, SchedulePaused):
        return None
    return [*(state or []), event.event_type.rpartition(".")[2]]


@pytest.mark.both_databases
def test_a_stream_folds_from_nothing(ledger: Ledger, context: MakeContext) -> None:
    """Only its own events, in order; events before its birth leave no state."""
    ledger.append(context(), draft(SettingsCreated), draft(SourceOptimized))
    assert ledger.fold(SCHEDULE, count) is None
    ledger.append(context(), draft(SchedulePaused), draft(HoldPlaced), draft(SettingsUpdated))
    assert ledger.fold(SCHEDULE, count) == ["paused", "settings_updated"]
    assert [each.stream_version for each in ledger.stream(SCHEDULE)] == [1, 2, 3]


@pytest.mark.both_databases
def test_a_stream_that_does_not_exist_has_no_state(ledger: Ledger) -> None:
    """Neither a state nor events, and no error."""
    assert ledger.fold("schedule/9", count) is None
    assert ledger.stream("schedule/9") == []


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("after", "up_to", "expected"),
    [
        (0, None, range(1, 8)),
        (3, None, range(4, 8)),
        (0, 5, range(1, 6)),
        (2, 4, range(3, 5)),
        (7, None, range(0)),
        (0, 0, range(0)),
        (4, 4, range(0)),
        (9, 100, range(0)),
    ],
)
def test_reading_gives_what_lies_between(
    ledger: Ledger,
    context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
    up_to: int | None,
    expected: range,
) -> None:
    """After the one position, up to and with the other, also across batches."""
    monkeypatch.setattr(application, "READ_BATCH", 3)
    ledger.append(context(), *(draft(SourceOptimized) for _ in range(7)))
    assert [each.position for each in ledger.records(after=after, up_to=up_to)] == list(expected)
    assert [each.position for each in ledger.recorded(after=after, up_to=up_to)] == list(expected)


def test_reading_is_one_snapshot_while_others_append(
    ledger: Ledger,
    open_ledger: OpenLedger,
    context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batch after batch is of the same moment, and writers need not wait for the reader."""
    monkeypatch.setattr(application, "READ_BATCH", 2)
    ledger.append(context(), *(draft(SourceOptimized) for _ in range(5)))
    reading = ledger.records()
    seen = [next(reading).position]
    open_ledger().append(context(), draft(SettingsCreated))
    seen += [row.position for row in reading]
    assert seen == [1, 2, 3, 4, 5]
    assert ledger.log_recorder.head().size == 6


@pytest.mark.both_databases
def test_reading_that_is_given_up_leaves_the_ledger_usable(
    ledger: Ledger, context: MakeContext
) -> None:
    """Its connection goes back; nothing stays locked."""
    ledger.append(context(), draft(SettingsCreated), draft(SourceOptimized))
    for _ in range(50):
        reading = ledger.records()
        next(reading)
        reading.close()
    assert len(ledger.append(context(), draft(SourceOptimized))) == 1
