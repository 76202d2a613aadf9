"""The ledger as the rest of the software sees it: an eventsourcing Application.

A command says what happened in drafts; the context says who acted, when and why. Both become
events under the head lock, so stream versions have no holes and a decision sees all of history.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event as Pause
from typing import TYPE_CHECKING, Any, TypeVar, cast

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.persistence import Mapper, StoredEvent
from pydantic import ValidationError

from ledger.append import leases_and_names as operational
from ledger.append.batched import batched
from ledger.append.clock_doubt import is_jump
from ledger.append.database import LedgerMeta, read_meta, translated_errors
from ledger.append.factory import LedgerFactory
from ledger.append.kept_states import KEEP_EVERY, StateForm, StreamStates
from ledger.append.reading import StoredRecord, read_records, stream_version
from ledger.append.recorder import LedgerRecorder, LockedHead
from ledger.append.writer import SharedCommits
from ledger.clock import from_microseconds, to_microseconds
from ledger.errors import ConcurrencyConflict, LedgerUnreachable, RecordError
from ledger.events.base import new_id
from ledger.events.housekeeping import ClockJumped
from ledger.masking import masked
from ledger.records.record import Actor, Event, cut_text, decode_event, encode_event, reason_of
from ledger.vocabulary import LEDGER_STREAM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from eventsourcing.persistence import Recording
    from eventsourcing.utils import Environment
    from sqlalchemy.engine import Engine

    from ledger.clock import Clock
    from ledger.events import Details

logger = logging.getLogger("backup_ledger.ledger")
State = TypeVar("State")
Result = TypeVar("Result")
Evolve = Callable[[State | None, Event], State | None]

RECONNECT_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, None)
"""Waits between the attempts of one append while the server is away."""
READ_BATCH = 5_000
"""Records read at a time, so that memory stays flat however long the ledger is."""


@dataclass(frozen=True, slots=True)
class Context:
    """Who does something, as part of what, and at which moment its decisions are made."""

    actor: Actor
    now: datetime
    correlation_id: str = field(default_factory=new_id)
    causation_id: str | None = None

    def correlated(self, correlation_id: str) -> Context:
        return replace(self, correlation_id=correlation_id)


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact about to be appended.

    `expected_version`: the stream's version that the decision was made on; None where the
    decision does not depend on the stream. `owner`: whose thing it is.
    """

    stream: str
    details: Details
    owner: int | None = None
    error_message: str | None = None
    expected_version: int | None = None
    event_id: str = field(default_factory=new_id)
    causation_id: str | None = None
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event with its place in the ledger. `recorded_at`: microseconds since 1970, UTC.

    `is_erased`: it stands in for one whose record was erased.
    """

    position: int
    recorded_at: int
    event: Event
    is_erased: bool = False


class RecordMapper(Mapper[str]):
    """Event <-> record. The topic is the event type; no import path is ever stored."""

    def __init__(self) -> None:
        """No transcoder, cipher or compressor: the record is what is stored."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        event: Event = domain_event
        return StoredEvent(
            event.stream, event.stream_version, event.event_type, encode_event(event)
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        return decode_event(stored_event.state)


class Ledger(Application[str]):
    """One ledger, open."""

    name = "ledger"

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.meta: LedgerMeta = read_meta(engine)
        self.clock = clock
        self.engine = engine
        super().__init__(env={"IS_SNAPSHOTTING_ENABLED": "n"})
        self._shared_commits = SharedCommits(self.log_recorder.locked)
        self._states = StreamStates(engine, self.factory.aggregate_recorder(purpose="snapshots"))

    def construct_factory(self, env: Environment) -> LedgerFactory:
        return LedgerFactory(env, self.engine, self.clock)

    def construct_mapper(self) -> RecordMapper:
        return RecordMapper()

    @property
    def log_recorder(self) -> LedgerRecorder:
        """The recorder, by its own type."""
        return cast("LedgerRecorder", self.recorder)

    def save(self, *objs: Any, **kwargs: Any) -> list[Recording[str]]:
        """Append events, all or nothing, with the leases and names that follow from them."""
        locked: LockedHead | None = kwargs.pop("locked", None)
        if locked is None:
            with self.log_recorder.locked() as own:
                return self.save(*objs, locked=own, **kwargs)
        # What the library's `save` does with events, without asking whether they are aggregates.
        recordings = self.events.put(objs, locked=locked, **kwargs)
        operational.apply_events(locked.connection, objs, self.clock.monotonic())
        return recordings

    def append(self, context: Context, *drafts: Draft) -> list[RecordedEvent]:
        """Append facts that need no decision under the lock; threads that do so share commits.

        Raises:
            ConcurrencyConflict: a stream is not at its draft's expected version.
            RecordError: a draft is not a valid event.
        """
        return self.decide_with_result(context, lambda _locked: (drafts, None), shares_commit=True)[
            0
        ]

    def decide(
        self, context: Context, decision: Callable[[LockedHead], Iterable[Draft]]
    ) -> list[RecordedEvent]:
        """Lock the head, let `decision` look at all of history, append the drafts that it returns.

        Raises:
            ConcurrencyConflict: a stream is not at its draft's expected version.
            LedgerUnreachable: the server stayed away.
            Exception: whatever the decision raises; then nothing is appended.
        """
        return self.decide_with_result(context, lambda locked: (decision(locked), None))[0]

    def decide_with_result(
        self,
        context: Context,
        decision: Callable[[LockedHead], tuple[Iterable[Draft], Result]],
        *,
        shares_commit: bool = False,
    ) -> tuple[list[RecordedEvent], Result]:
        """Like `decide`; the decision also returns what it found, which is handed back.

        `shares_commit`: it looks at nothing, so what others append before it, in the same
        transaction, does not matter.

        Where the connection to a server is lost, it is decided again; what was appended already,
        but not confirmed, is known by its event_id and not appended twice.

        Raises:
            ConcurrencyConflict: a stream is not at its draft's expected version.
            LedgerUnreachable: the server stayed away.
            Exception: whatever the decision raises; then nothing is appended.
        """
        unconfirmed: tuple[list[RecordedEvent], Result] | None = None

        def attempt(locked: LockedHead) -> tuple[list[RecordedEvent], Result]:
            nonlocal unconfirmed
            if unconfirmed is None or not _holds(locked, unconfirmed[0]):
                unconfirmed = None
                drafts, result = decision(locked)
                unconfirmed = self.append_locked(locked, context, list(drafts)), result
            return unconfirmed

        for wait in RECONNECT_SECONDS:
            try:
                if shares_commit:
                    return self._shared_commits.append(attempt)
                with self.log_recorder.locked() as locked:
                    decided = attempt(locked)
            except LedgerUnreachable as error:
                if wait is None:
                    raise
                logger.warning("%s; trying again in %s s", error, wait)
                Pause().wait(wait)
            else:
                return decided
        raise AssertionError("the last wait must be None")

    def append_locked(
        self, locked: LockedHead, context: Context, drafts: Sequence[Draft]
    ) -> list[RecordedEvent]:
        """Append facts while the head is locked already."""
        if not drafts:
            return []
        jumped = self._jump(locked)
        recordings = self.save(*self._events(locked, context, [*jumped, *drafts]), locked=locked)
        recorded_at = locked.head.recorded_at
        return [
            RecordedEvent(recording.notification.id, recorded_at, recording.domain_event)  # type: ignore[arg-type]
            for recording in recordings[len(jumped) :]
        ]

    def _jump(self, locked: LockedHead) -> list[Draft]:
        """Whoever appends first after the clock jumped records that it did."""
        before, now = locked.head.recorded_at, to_microseconds(self.clock.now())
        if locked.head.size == 0 or not is_jump(before, now):
            return []
        details = ClockJumped(before=from_microseconds(before), now=from_microseconds(now))
        return [Draft(LEDGER_STREAM, details)]

    @contextmanager
    def locked(self) -> Iterator[LockedHead]:
        """Hold the head for a decision that appends with `append_locked`."""
        with self.log_recorder.locked() as locked:
            yield locked

    def stream(self, stream: str) -> list[Event]:
        """The events of one stream, in order."""
        return [cast("Event", event) for event in self.events.get(stream)]

    def streams(self, streams: Sequence[str]) -> Iterator[list[Event]]:
        """The events of several streams, each in order; read together, some streams at a time."""
        for some in batched(streams):
            found = self.log_recorder.select_streams(some)
            for stream in some:
                yield [decode_event(stored.state) for stored in found[stream]]

    def stream_version(self, stream: str) -> int:
        """The newest version of a stream; 0 where there is none."""
        with self.engine.connect() as connection:
            return stream_version(connection, stream)

    def load(self, stream: str, evolve: Evolve[State], form: StateForm[State]) -> State | None:
        """The same as `fold`, from a state that was kept; quick however long the stream is."""
        state, version = self._states.newest(stream, form) or (None, 0)
        kept = version
        for each in self.events.get(stream, gt=version):
            event = cast("Event", each)
            state, version = evolve(state, event), event.stream_version
        if state is not None and version - kept >= KEEP_EVERY:
            self._states.keep(stream, version, form, state)
        return state

    def fold(self, stream: str, evolve: Evolve[State]) -> State | None:
        """A stream's state, folded from nothing; None where it has none (yet)."""

        def project(state: Any, events: Iterable[Any]) -> Any:
            for event in events:
                state = evolve(state, event)
            return state

        try:
            return cast("State", self.repository.get(stream, projector_func=project))
        except AggregateNotFoundError:
            return None

    def records(self, *, after: int = 0, up_to: int | None = None) -> Iterator[StoredRecord]:
        """Rows with after < position <= up_to, in ledger order and one snapshot; streams."""
        with translated_errors(self.engine), self.engine.connect() as connection:
            while rows := read_records(connection, after=after, up_to=up_to, limit=READ_BATCH):
                yield from rows
                after = rows[-1].position

    def recorded(self, *, after: int = 0, up_to: int | None = None) -> Iterator[RecordedEvent]:
        """Events with after < position <= up_to, in ledger order and one snapshot; streams."""
        for row in self.records(after=after, up_to=up_to):
            event = decode_event(row.record)
            yield RecordedEvent(row.position, row.recorded_at, event, row.is_erased)

    def _events(self, locked: LockedHead, context: Context, drafts: Sequence[Draft]) -> list[Event]:
        timestamp = self.clock.now()
        versions = locked.stream_versions([draft.stream for draft in drafts])
        moved = [
            draft.stream
            for draft in drafts
            if draft.expected_version not in (None, versions[draft.stream])
        ]
        if moved:
            raise ConcurrencyConflict(moved)
        events = []
        for draft in drafts:
            versions[draft.stream] += 1
            try:
                events.append(make_event(context, draft, versions[draft.stream], timestamp))
            except ValidationError as error:
                kind = draft.details.event_type
                raise RecordError(f"no valid event {kind}: {reason_of(error)}") from error
        return events


def _holds(locked: LockedHead, recorded: Sequence[RecordedEvent]) -> bool:
    """Whether events that were sent, all or none of them, are in the ledger.

    Asked under the lock: whoever sent them has committed or is gone.
    """
    if not recorded:
        return False
    first = recorded[0]
    rows = read_records(locked.connection, after=first.position - 1, up_to=first.position)
    return any(decode_event(row.record).event_id == first.event.event_id for row in rows)


def make_event(context: Context, draft: Draft, version: int, timestamp: datetime) -> Event:
    """The full event of a draft; what drivers say of a URL is recorded without its password."""
    details = draft.details.with_nonce()
    message = draft.error_message
    return Event(
        action=details.action,
        actor=context.actor,
        causation_id=draft.causation_id or context.causation_id,
        correlation_id=draft.correlation_id or context.correlation_id,
        details=details,
        error_message=None if message is None else cut_text(masked(message)),
        event_id=draft.event_id,
        event_type=details.event_type,
        resource_id=draft.stream.rpartition("/")[2],
        resource_type=details.resource_type,
        schema_version=details.schema_version,
        stream=draft.stream,
        stream_version=version,
        success=details.success,
        timestamp=timestamp,
        user_id=None if draft.owner is None else str(draft.owner),
    )
