"""Records without bytes: each must have been erased by one later event that says so, and who.

A row whose record is gone is accepted with exactly one later `ledger.record_redacted` of its leaf
hash, stream, version and type, whose `kept` can be read as an event of that type. And the other
way round: what such an event names must be gone. So nobody can hide a record behind an erasure
that was never recorded, nor record one that never happened.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import select

from ledger.append.tables import events
from ledger.canonical_json import parse_json
from ledger.errors import RecordError
from ledger.events.housekeeping import RecordRedacted
from ledger.records.erasure import stand_in
from ledger.records.record import decode_event

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ledger.verify.findings import Findings
    from ledger.verify.records import Row

ERASURE = "erasure"
_REMOVED = "the record was removed; only its leaf hash is left"


class _Bare(NamedTuple):
    """What a row without its record still says."""

    leaf_hash: Any
    stream: Any
    stream_version: Any
    event_type: Any


class ErasureCheck:
    """Collects the rows without a record, and compares them with the redactions at the end."""

    def __init__(self, connection: Connection, findings: Findings) -> None:
        self._connection = connection
        self._findings = findings
        self._bare: dict[int, _Bare] = {}
        self.accepted = 0

    def saw(self, row: Row) -> None:
        """A row has no record."""
        self._bare[row.position] = _Bare(
            row.leaf_hash, row.stream, row.stream_version, row.event_type
        )

    def finish(self) -> None:
        """Every row without a record has its redaction, and every redaction its row."""
        by_target = self._redactions()
        for position, bare in self._bare.items():
            self._check_row(position, bare, by_target.pop(position, []))
        for position, found in by_target.items():
            for at, _details in found:
                self._find(
                    at,
                    f"this event says that the record at position {position} was erased",
                    f"a row at position {position} without its record",
                    "one with its record" if position < at else "a position that is not earlier",
                )

    def _check_row(
        self, position: int, bare: _Bare, found: list[tuple[int, RecordRedacted]]
    ) -> None:
        if len(found) != 1:
            expected = "one later event that says that it was erased"
            self._find(position, _REMOVED, expected, f"{len(found)} such events")
            return
        at, details = found[0]
        said = _Bare(
            bytes.fromhex(details.leaf_hash),
            details.stream,
            details.stream_version,
            details.redacted_type,
        )
        if at <= position:
            self._find(position, _REMOVED, "a later event that says so", f"one at position {at}")
        elif said != bare:
            problem = f"the event at position {at} says that another record was erased here"
            self._find(position, problem, bare, said)
        elif details.kept.get("stream_version") != bare.stream_version:
            problem = f"what the event at position {at} kept belongs to another place in the stream"
            self._find(position, problem, bare.stream_version, details.kept.get("stream_version"))
        else:
            self.accepted += 1

    def _redactions(self) -> dict[int, list[tuple[int, RecordRedacted]]]:
        """Position -> the events that say that it was erased; those that can be read."""
        rows = self._connection.execute(
            select(events.c.position, events.c.record)
            .where(events.c.event_type == RecordRedacted.event_type)
            .order_by(events.c.position.desc())
        )
        found: dict[int, list[tuple[int, RecordRedacted]]] = defaultdict(list)
        own: dict[int, bytes] = {}
        for at, stored in rows:
            record = own.get(at) if stored is None else stored
            if type(at) is not int or type(record) is not bytes:
                continue  # it is found as a row without its record, or as one of another kind
            try:
                details = cast("RecordRedacted", decode_event(record).details)
                own[details.position] = stand_in(details)
            except (RecordError, AttributeError) as error:
                if _is_of_the_registry(record):
                    expected = "what is left of an event of its type"
                    self._find(at, "what was kept of an erased record", expected, str(error))
                continue
            found[details.position].append((at, details))
        return found

    def _find(self, position: int, problem: str, expected: Any, found: Any) -> None:
        self._findings.add(ERASURE, position, problem, expected, found)


def _is_of_the_registry(record: bytes) -> bool:
    """Whether the record itself is in order, so that nothing else says what is wrong with it."""
    try:
        parse_json(record)
        return isinstance(decode_event(record).details, RecordRedacted)
    except RecordError:
        return False
