"""What an erasure would remove, and what it would leave and why; nothing is changed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.erasure.find import PERSONS, known_elsewhere, rows_naming
from commands.errors import InvalidArgument
from ledger.append.reading import NO_LIMIT, read_streams
from ledger.canonical_json import canonical_bytes
from ledger.events.catalog import BackupCreated
from ledger.events.housekeeping import RecordRedacted
from ledger.events.offsite import CopyFetchStarted, CopyStarted
from ledger.events.restoring import RestoreStarted
from ledger.events.scheduling import BackupStarted
from ledger.records.erasure import ERASED, erased_name, file_names_of, kept_of, personal_texts
from ledger.records.record import MAX_RECORD_BYTES, Event, decode_event
from ledger.vocabulary import BackupStatus, backup_stream
from projections.folds.backup import Backup, evolve_backup
from projections.folds.backup_names import was_given

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from ledger.append.reading import StoredRecord

ENVELOPE_BYTES = 1_024
"""Room for all that a redaction's record holds beside its details."""

_OPENING = (RestoreStarted, CopyStarted, CopyFetchStarted, BackupStarted)
"""What begins an act; while it goes on, its record is worked with."""


@dataclass(frozen=True, slots=True)
class Erasable:
    """A record that can be erased. `fields`: what goes; `guessable`: see `RecordRedacted`."""

    row: StoredRecord
    event: Event
    fields: tuple[str, ...]
    guessable: bool
    new_names: dict[str, str]

    def redaction(self, reason: str, ticket: str) -> RecordRedacted:
        """The event that says so."""
        row = self.row
        return RecordRedacted(
            position=row.position,
            leaf_hash=row.leaf_hash.hex(),
            event_type=row.event_type,
            stream=row.stream,
            stream_version=row.stream_version,
            ticket=ticket,
            reason=reason,
            kept=kept_of(self.event, self.new_names),
            guessable=self.guessable,
        )


@dataclass(frozen=True, slots=True)
class Left:
    """A record that stays as it is, and why."""

    position: int
    event_type: str
    why: str


@dataclass(frozen=True, slots=True)
class ErasurePlan:
    """In the order of positions."""

    erasable: tuple[Erasable, ...]
    left: tuple[Left, ...]

    @property
    def positions(self) -> tuple[int, ...]:
        return tuple(each.row.position for each in self.erasable)


def plan_erasure(
    connection: Connection, chosen: Iterable[tuple[StoredRecord, Event]], reason: str, ticket: str
) -> ErasurePlan:
    """Judge records; a file's name goes from all records at once, or from none."""
    found = {row.position: (row, event) for row, event in chosen}
    backups = _Backups(connection)
    names = _names_to_go(backups, found.values())
    found |= {row.position: (row, event) for row, event in rows_naming(connection, names)}
    nonceless = [event.event_id for _, event in found.values() if event.details.nonce is None]
    known = known_elsewhere(connection, nonceless)
    erasable, left = [], []
    for position in sorted(found):
        row, event = found[position]
        fields = fields_to_go(event, names)
        why = _why_left(connection, backups, row, event, fields)
        candidate = Erasable(
            row,
            event,
            fields,
            guessable=event.details.nonce is None and event.event_id in known,
            new_names=names,
        )
        why = why or _why_too_large(candidate, reason, ticket)
        if why is None:
            erasable.append(candidate)
        else:
            left.append(Left(position, row.event_type, why))
    return ErasurePlan(tuple(erasable), tuple(left))


def fields_to_go(event: Event, names: dict[str, str]) -> tuple[str, ...]:
    """What of an event would be removed."""
    fields = list(personal_texts(event))
    if not isinstance(event.details, RecordRedacted):  # who erased something stays known
        if event.actor.kind in PERSONS and event.actor.id != ERASED:
            fields.append("actor")
        if event.error_message not in (None, ERASED):
            fields.append("error_message")
    if not names.keys().isdisjoint(file_names_of(event).values()):
        fields.append("filename")
    return tuple(fields)


class _Backups:
    """Backups as the ledger has them, folded once each."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, Backup | None] = {}

    def is_gone(self, backup_id: str) -> bool:
        """Whether it was deleted; of one that was never made there is nothing to wait for."""
        if backup_id not in self._known:
            backup: Backup | None = None
            for row in read_streams(self._connection, [backup_stream(backup_id)], NO_LIMIT):
                backup = evolve_backup(backup, decode_event(row.record))
            self._known[backup_id] = backup
        found = self._known[backup_id]
        return found is None or found.status == BackupStatus.DELETED


def _names_to_go(backups: _Backups, chosen: Iterable[tuple[StoredRecord, Event]]) -> dict[str, str]:
    """Names that a person gave to files that were deleted: what takes the place of each."""
    return {
        name: erased_name(backup_id)
        for _, event in chosen
        for backup_id, name in file_names_of(event).items()
        if was_given(name) and backups.is_gone(backup_id)
    }


def _why_left(
    connection: Connection,
    backups: _Backups,
    row: StoredRecord,
    event: Event,
    fields: Sequence[str],
) -> str | None:
    if not fields:
        return "it holds nothing personal that could be removed"
    waiting = [
        name
        for backup_id, name in file_names_of(event).items()
        if (was_given(name) or isinstance(event.details, BackupCreated))
        and not backups.is_gone(backup_id)
    ]
    if waiting:
        return f"the backup {waiting[0]} is not deleted yet; delete it first"
    if isinstance(event.details, _OPENING) and _is_open(connection, row, event):
        return "what it began is not over yet; try again afterwards"
    return None


def _is_open(connection: Connection, row: StoredRecord, event: Event) -> bool:
    """Whether nothing has ended what a record began."""
    run_id = event.event_id if isinstance(event.details, BackupStarted) else None
    for later in read_streams(connection, [row.stream], NO_LIMIT):
        if later.position <= row.position:
            continue
        details = decode_event(later.record).details
        if run_id is None or getattr(details, "run_id", None) == run_id:
            return False
    return True


def _why_too_large(candidate: Erasable, reason: str, ticket: str) -> str | None:
    details = candidate.redaction(reason, ticket).to_json()
    size = len(canonical_bytes(details)) + ENVELOPE_BYTES
    if size <= MAX_RECORD_BYTES:
        return None
    return f"what must be kept of it has {size:,} bytes, more than a record can hold"


def require_all(plan: ErasurePlan) -> None:
    """Records that were chosen one by one go together, or not at all.

    Raises:
        InvalidArgument: one of them cannot be erased.
    """
    if plan.left:
        first = plan.left[0]
        raise InvalidArgument(
            f"the record at position {first.position} cannot be erased: {first.why}; nothing was "
            "changed"
        )
