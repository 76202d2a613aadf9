"""Reading the audit log: the ledger's stored records, verbatim, in ledger order.

The audit trail only says at which positions a filter matches; what is shown is the ledger.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from ledger.append.database import translated_errors
from ledger.append.reading import StoredRecord, read_records
from ledger.append.tables import events
from ledger.canonical_json import canonical_bytes, parse_json
from ledger.errors import RecordError
from projections.queries.audit import AuditFilter, matching_positions, newest_matching

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from commands.site.site import Site

PAGE = 1_000
"""Records looked up at a time, so that memory stays flat."""
NEAR = 100
"""How far around an event the others of its command are looked for."""
TEXT_LOOKS = 100_000
"""Records that one page looks through for a text: a second's work. What is left is said."""


def audit_records(
    site: Site, wanted: AuditFilter, *, after: int = 0, limit: int | None = None
) -> Iterator[StoredRecord]:
    """Matching records beyond a position, oldest first; with `limit`, only the newest so many."""
    if limit is not None and limit <= 0:
        return iter(())
    if wanted.text is not None:
        found = _with_text(_all_matching(site, wanted, after), wanted.text)
        return found if limit is None else iter(deque(found, maxlen=limit))
    if wanted.is_empty:
        size = site.ledger.log_recorder.head().size
        up_to = size if wanted.up_to is None else min(size, wanted.up_to)
        first = max(after, 0 if limit is None else up_to - limit)
        return site.ledger.records(after=first, up_to=wanted.up_to)
    if limit is not None:
        with site.read_models.reading() as connection:
            newest = [each for each in newest_matching(connection, wanted, limit) if each > after]
        return _at_positions(site, newest)
    return _all_matching(site, wanted, after)


class AuditPage(NamedTuple):
    """Some matching records, and the position to ask from for those after them; None at the end.

    `looked_at`: how many records were looked through for a text; None where there was none.
    """

    records: list[StoredRecord]
    next_cursor: int | None
    looked_at: int | None = None


def audit_page(
    site: Site,
    wanted: AuditFilter,
    *,
    cursor: int | None = None,
    newest_first: bool = True,
    limit: int = 100,
) -> AuditPage:
    """Matching records beyond a position, in either direction.

    A page of a search for a text may be short and not the last: `looked_at` says how far it came.
    """
    if wanted.text is not None:
        return _text_page(site, wanted, wanted.text, cursor, newest_first=newest_first, limit=limit)
    positions = _positions(site, wanted, cursor, newest_first=newest_first, limit=limit)
    found = list(_at_positions(site, positions))
    if newest_first:
        found.reverse()
    return AuditPage(found, None if len(positions) < limit else found[-1].position)


def _text_page(
    site: Site,
    wanted: AuditFilter,
    text: str,
    cursor: int | None,
    *,
    newest_first: bool,
    limit: int,
) -> AuditPage:
    found: list[StoredRecord] = []
    looked = 0
    while looked < TEXT_LOOKS:
        most = min(PAGE, TEXT_LOOKS - looked)
        positions = _positions(site, wanted, cursor, newest_first=newest_first, limit=most)
        records = list(_at_positions(site, positions))
        for record in reversed(records) if newest_first else records:
            looked, cursor = looked + 1, record.position
            if _has_text(record, text):
                found.append(record)
            if len(found) == limit:
                return AuditPage(found, cursor, looked)
        if len(positions) < most:
            return AuditPage(found, None, looked)
    return AuditPage(found, cursor, looked)


def _positions(
    site: Site, wanted: AuditFilter, cursor: int | None, *, newest_first: bool, limit: int
) -> list[int]:
    """Ascending, whichever way they are wanted."""
    if wanted.is_empty:
        size = site.ledger.log_recorder.head().size
        end = size if wanted.up_to is None else min(size, wanted.up_to)
        if newest_first:
            end = end if cursor is None else min(end, cursor - 1)
            return list(range(max(1, end - limit + 1), end + 1))
        first = 1 if cursor is None else cursor + 1
        return list(range(first, min(end, first + limit - 1) + 1))
    with site.read_models.reading() as connection:
        if newest_first:
            up_to = wanted.up_to if cursor is None else cursor - 1
            return newest_matching(connection, replace(wanted, up_to=up_to), limit)
        return matching_positions(connection, wanted, after=cursor or 0, limit=limit)


def stream_records(site: Site, stream: str, limit: int | None = None) -> list[StoredRecord]:
    """The records of one stream, in order, or the newest so many of them."""
    with translated_errors(site.ledger.engine), site.ledger.engine.connect() as connection:
        statement = select(events.c.position).where(events.c.stream == stream)
        newest = statement.order_by(events.c.stream_version.desc()).limit(limit)
        positions = sorted(connection.execute(newest).scalars())
    return list(_at_positions(site, positions))


def record_at(site: Site, position: int) -> StoredRecord | None:
    """The record at a position; None beyond the ledger's end."""
    return next(_at_positions(site, [position]), None)


def neighbors_in_stream(site: Site, stream: str, version: int) -> tuple[int | None, int | None]:
    """The positions of the event before and of the one after in a stream."""
    with translated_errors(site.ledger.engine), site.ledger.engine.connect() as connection:
        wanted = events.c.stream_version.in_((version - 1, version + 1))
        statement = select(events.c.stream_version, events.c.position)
        rows = connection.execute(statement.where(events.c.stream == stream, wanted))
        found = {row.stream_version: row.position for row in rows}
    return found.get(version - 1), found.get(version + 1)


def records_of_command(site: Site, correlation_id: str, position: int) -> list[StoredRecord]:
    """What one command recorded, as far as it stands near a position of it."""
    near = site.ledger.records(after=max(0, position - NEAR), up_to=position + NEAR)
    sought = correlation_id.encode()
    return [
        each
        for each in near
        if sought in each.record and parse_json(each.record)["correlation_id"] == correlation_id
    ]


def _all_matching(site: Site, wanted: AuditFilter, after: int) -> Iterator[StoredRecord]:
    while True:
        with site.read_models.reading() as connection:
            positions = matching_positions(connection, wanted, after=after, limit=PAGE)
        if not positions:
            return
        yield from _at_positions(site, positions)
        after = positions[-1]


def _with_text(records: Iterator[StoredRecord], text: str) -> Iterator[StoredRecord]:
    """Records that have a text in their details or error message."""
    return (record for record in records if _has_text(record, text))


def _has_text(record: StoredRecord, text: str) -> bool:
    """Whether a text is in details or error message, whatever the case.

    Both are parts of the record's own text, which is looked through first: it need not be parsed.
    """
    sought = text.casefold()
    raw = record.record.decode("utf-8", "replace")
    if sought not in raw.casefold():
        return False
    try:
        fields = parse_json(record.record)
        told = [fields["details"], fields["error_message"]]
    except (RecordError, KeyError, TypeError):
        return True  # what cannot be read is shown rather than hidden
    return any(sought in canonical_bytes(each).decode().casefold() for each in told)


def _at_positions(site: Site, positions: Sequence[int]) -> Iterator[StoredRecord]:
    """The records at these positions, which ascend; neighbors are read together."""
    engine = site.ledger.engine
    for first, last in _neighbors(positions):
        with translated_errors(engine), engine.connect() as connection:
            yield from read_records(connection, after=first - 1, up_to=last)


def _neighbors(positions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as ranges without holes, none longer than a page."""
    start = 0
    for index in range(1, len(positions) + 1):
        is_end = index == len(positions) or positions[index] != positions[index - 1] + 1
        if is_end or index - start == PAGE:
            yield positions[start], positions[index - 1]
            start = index
