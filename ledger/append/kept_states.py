"""Folded states of long streams, kept so that loading one stays quick however long it is.

They are disposable: no part of the history, in a table beside it, and every one can be folded
again. A kept state names the form that it was written in and the leaf hash of the event that it
stands on; one of another history, of other software, or that cannot be read is passed over.
It is believed as much as a row of a read model is: who can write to the ledger's database can
change one, and `projections diff` does not look at it. Where that matters, fold without.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from eventsourcing.persistence import EventStore, IntegrityError, Mapper, StoredEvent
from sqlalchemy.exc import DBAPIError

from ledger.append.reading import read_stream_leaf
from ledger.canonical_json import canonical_bytes
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from eventsourcing.persistence import AggregateRecorder
    from sqlalchemy.engine import Engine

State = TypeVar("State")
logger = logging.getLogger("backup_ledger.ledger")

KEEP_EVERY = 100
"""Events that may be folded onto a kept state before the next one is kept."""


@dataclass(frozen=True, slots=True)
class StateForm(Generic[State]):
    """How states of one kind are kept. `topic` changes with the fold or the fields."""

    topic: str
    dump: Callable[[State], dict[str, Any]]
    load: Callable[[dict[str, Any]], State]


@dataclass(frozen=True, slots=True)
class KeptState:
    """A state of a stream at a version, as the library's event store takes it."""

    originator_id: str
    originator_version: int
    topic: str
    content: bytes


class KeptStateMapper(Mapper[str]):
    """Kept states are stored as they are; topics are names, not import paths."""

    def __init__(self) -> None:
        """No transcoder, cipher or compressor."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        kept: KeptState = domain_event
        return StoredEvent(kept.originator_id, kept.originator_version, kept.topic, kept.content)

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        return KeptState(
            str(stored_event.originator_id),
            stored_event.originator_version,
            stored_event.topic,
            stored_event.state,
        )


class StreamStates:
    """The kept states of a ledger."""

    def __init__(self, engine: Engine, recorder: AggregateRecorder) -> None:
        self._engine = engine
        self._store: EventStore[str] = EventStore(KeptStateMapper(), recorder)

    def newest(self, stream: str, form: StateForm[State]) -> tuple[State, int] | None:
        """The newest state of a stream and its version; None where none can be believed."""
        try:
            for each in self._store.get(stream, desc=True, limit=1):
                return self._believed(cast("KeptState", each), form)
        except (ValueError, TypeError, KeyError, AttributeError, LedgerError, DBAPIError) as error:
            logger.warning("no stored state of %s can be read, so it is folded: %s", stream, error)
        return None

    def keep(self, stream: str, version: int, form: StateForm[State], state: State) -> None:
        """Keep a state; where that cannot be done now, nothing is lost but time."""
        leaf = self._leaf(stream, version)
        content = canonical_bytes({"leaf": leaf, "state": form.dump(state)})
        try:
            self._store.put([KeptState(stream, version, form.topic, content)])
        except (IntegrityError, LedgerError, DBAPIError) as error:
            logger.debug("the state of %s was not stored: %s", stream, error)

    def _believed(self, kept: KeptState, form: StateForm[State]) -> tuple[State, int] | None:
        if kept.topic != form.topic:
            return None
        found = json.loads(kept.content)
        if found["leaf"] != self._leaf(kept.originator_id, kept.originator_version):
            return None
        return form.load(found["state"]), kept.originator_version

    def _leaf(self, stream: str, version: int) -> str | None:
        with self._engine.connect() as connection:
            found = read_stream_leaf(connection, stream, version)
        return None if found is None else found.hex()
