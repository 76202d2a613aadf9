"""Reading records whose bytes were erased: from what was kept, as their redaction says.

All redactions up to the head are read in the reader's own transaction, so that what it reads of
the past is what it would read of it tomorrow. A redaction may itself have been redacted, by a
later one: then what was kept of it says what it kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from sqlalchemy import select

from ledger.append.prepared import Prepared
from ledger.append.tables import events
from ledger.errors import LedgerBroken
from ledger.events.housekeeping import RecordRedacted
from ledger.records.erasure import stand_in
from ledger.records.record import decode_event

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ledger.records.record import Event

_REDACTIONS = Prepared(
    select(events.c.position, events.c.stream, events.c.stream_version, events.c.record)
    .where(events.c.event_type == RecordRedacted.event_type)
    .order_by(events.c.position.desc())
)


@dataclass(frozen=True, slots=True)
class Redaction:
    """One erased record. `event`, at position `at`, says so. `record`: what stands in for it."""

    at: int
    event: Event
    record: bytes

    @property
    def details(self) -> RecordRedacted:
        return cast("RecordRedacted", self.event.details)


class StandIns:
    """The records that stand in for erased ones; read when the first is asked for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._found: dict[tuple[str, int], Redaction] | None = None

    def record(self, stream: str, version: int, stored: bytes | None = None) -> bytes:
        """An event's record as it is `stored`, or what stands in for it.

        Raises:
            LedgerBroken: the record is gone, and no event says that it was erased; or it was
                changed into something else than bytes.
        """
        if isinstance(stored, bytes | memoryview):
            return bytes(stored)
        if stored is not None:
            raise LedgerBroken(
                f"the record of version {version} of {stream} was changed: it is no longer bytes; "
                "run `backup-ledger audit verify`"
            )
        if self._found is None:
            self._found = {
                (each.details.stream, each.details.stream_version): each
                for each in redactions(self._connection)
            }
        found = self._found.get((stream, version))
        if found is None:
            raise LedgerBroken(
                f"the record of version {version} of {stream} is gone, and no event says that it "
                "was erased; run `backup-ledger audit verify`"
            )
        return found.record


def redactions(connection: Connection) -> list[Redaction]:
    """Every redaction up to the head, oldest first.

    Raises:
        LedgerBroken: one of them cannot be read.
    """
    found: list[Redaction] = []
    own: dict[tuple[str, int], bytes] = {}
    for at, stream, version, stored in _REDACTIONS.run(connection, {}).fetchall():
        record = own.get((stream, version)) if stored is None else bytes(stored)
        if record is None:
            raise LedgerBroken(
                f"the redaction at position {at} is gone, and no later one says why; run "
                "`backup-ledger audit verify`"
            )
        try:
            event, replaced = _read(record)
        except ValueError as error:
            raise LedgerBroken(
                f"the redaction at position {at} cannot be read: {error}; run `backup-ledger "
                "audit verify`"
            ) from error
        found.append(Redaction(at, event, replaced))
        details = found[-1].details
        own[details.stream, details.stream_version] = replaced
    return found[::-1]


@lru_cache(maxsize=10_000)
def _read(record: bytes) -> tuple[Event, bytes]:
    event = decode_event(record)
    return event, stand_in(cast("RecordRedacted", event.details))
