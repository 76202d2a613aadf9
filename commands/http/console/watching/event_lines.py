"""Events in plain words, a line each: for the audit log, stories, and reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from commands.reporting.sentences import backups_mentioned, told_with_subject, who
from ledger.errors import RecordError
from ledger.records.record import decode_event
from projections.queries.catalog import backups_with_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.http.callers import Caller
    from commands.http.served_site import ServedSite
    from ledger.append.reading import StoredRecord
    from ledger.records.record import Event


class Line(NamedTuple):
    """One event in words. `event`: None where the record cannot be read."""

    position: int
    event: Event | None
    told: str
    who: str


def lines_of(served: ServedSite, records: Sequence[StoredRecord]) -> list[Line]:
    """Records in words; a backup is called by its file's name."""
    events = [_decoded(each) for each in records]
    mentioned = {name for event in events if event is not None for name in backups_mentioned(event)}
    with served.site.read_models.reading(at_head=False) as connection:
        found = backups_with_ids(connection, mentioned)
    names = {name: each.filename for name, each in found.items()}
    return [_line(record, event, names) for record, event in zip(records, events, strict=True)]


def _line(record: StoredRecord, event: Event | None, names: dict[str, str]) -> Line:
    if event is None:
        return Line(record.position, None, "This record cannot be read.", "—")
    return Line(record.position, event, told_with_subject(event, names), who(event))


def _decoded(record: StoredRecord) -> Event | None:
    try:
        return decode_event(record.record)
    except RecordError:
        return None


def shown_to_caller(served: ServedSite, caller: Caller, line: Line) -> Line:
    """A line as a caller gets it: a user learns no names of others, and no path of the server."""
    if caller.user_id is None:
        return line
    return line._replace(who=_shown_to_user(line, caller), told=served.shown_to(caller, line.told))


def _shown_to_user(line: Line, caller: Caller) -> str:
    """Who acted, where that is not a name of somebody else's."""
    if line.event is None:
        return line.who
    actor = line.event.actor
    if actor.kind == "user":
        return "you" if actor.id == caller.id else "another user"
    return {"operator": "an operator", "auditor": "an auditor"}.get(actor.kind, line.who)
