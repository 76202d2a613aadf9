"""Which records are a person's, or name a file: sought in the bytes, decoded where found.

Records are canonical JSON, so what is sought stands in them in one form only. Most records are
passed over by that, without being decoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.append.reading import read_records
from ledger.canonical_json import canonical_bytes
from ledger.events.housekeeping import RecordRedacted
from ledger.records.erasure import file_names_of, personal_texts
from ledger.records.record import Event, decode_event

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Connection

    from ledger.append.reading import StoredRecord

PERSONS = ("user", "operator", "auditor")
"""Kinds of actors who are people; the others are programs."""

READ_ROWS = 5_000
_UUID = re.compile(rb'"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"')


@dataclass(frozen=True, slots=True)
class Person:
    """Whose records are meant: a user of the application, or whoever acted under a name."""

    user: int | None = None
    actor: str | None = None

    def acted(self, event: Event) -> bool:
        """Whether the person did it; an operator's name may say who logged in as another one."""
        kind, its_id = event.actor.kind, event.actor.id
        if self.user is not None:
            return kind == "user" and its_id == str(self.user)
        own, _, login = its_id.removesuffix(")").partition(" (login: ")
        return kind in PERSONS and self.actor in (its_id, own, login or None)

    def is_subject(self, event: Event) -> bool:
        return self.user is not None and event.user_id == str(self.user)

    def might_concern(self, record: bytes) -> bool:
        """False where a record is surely about somebody else; quick."""
        if self.user is not None:
            number = b'"%d"' % self.user
            return record.endswith(b'"user_id":' + number + b"}") or (
                b'"actor":{"id":' + number + b',"kind":"user"}' in record
            )
        return canonical_bytes(self.actor)[1:-1] in record


def rows_of_person(
    connection: Connection, person: Person, after: int = 0
) -> Iterator[tuple[StoredRecord, Event]]:
    """Records that a person made, or that are about a person and say something in words.

    What a backup's record says of the database (its tables, warnings) is about no person.
    """
    for row in _rows(connection, after):
        if row.is_erased or not person.might_concern(row.record):
            continue
        event = decode_event(row.record)
        if isinstance(event.details, RecordRedacted):
            continue  # who erased something stays known
        if person.acted(event) or (person.is_subject(event) and _says_something(event)):
            yield row, event


def rows_naming(
    connection: Connection, names: Collection[str], after: int = 0
) -> Iterator[tuple[StoredRecord, Event]]:
    """Records in whose fields a file name stands that can be erased there."""
    if not names:
        return
    sought = re.compile(
        b"|".join(re.escape(canonical_bytes(name)[1:-1]) for name in sorted(names))
    ).search
    for row in _rows(connection, after):
        if row.is_erased or sought(row.record) is None:
            continue
        event = decode_event(row.record)
        texts = [str(personal_texts(event)), event.error_message or ""]
        is_named = not set(names).isdisjoint(file_names_of(event).values())
        if is_named or any(name in text for name in names for text in texts):
            yield row, event


def known_elsewhere(connection: Connection, ids: Collection[str]) -> set[str]:
    """Which events' ids stand in other records, too: as a cause, or as the id of a run."""
    sought, found = {each.encode() for each in ids}, set[bytes]()
    if not sought:
        return set()
    for row in _rows(connection, 0):
        own = b'"event_id":"'
        start = row.record.rfind(own) + len(own)
        others = row.record[:start] + row.record[start + 36 :]
        found |= sought.intersection(_UUID.findall(others))
    return {each.decode() for each in found}


def _says_something(event: Event) -> bool:
    """Whether a record holds words of a person: a reason, a note, a message, a name given."""
    if event.actor.kind in PERSONS or event.error_message is not None:
        return True
    return event.event_type not in OF_DATABASE and bool(personal_texts(event))


OF_DATABASE = frozenset({"backup_catalog.backup_created"})
"""Types whose texts are about the database."""


def _rows(connection: Connection, after: int) -> Iterator[StoredRecord]:
    while rows := read_records(connection, after=after, limit=READ_ROWS):
        yield from rows
        after = rows[-1].position
