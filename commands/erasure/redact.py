"""Erase records: one append that says who and why, and their bytes gone in the same transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.erasure.find import Person, rows_of_person
from commands.erasure.plan import ErasurePlan, plan_erasure, require_all
from commands.errors import CommandError, InvalidArgument
from commands.site.texts import checked_text
from ledger.append.backend import backend_of
from ledger.append.database import reading_snapshot, translated_errors
from ledger.append.erasing.erase import erase_records
from ledger.append.ledger import Draft
from ledger.append.reading import read_records
from ledger.append.tables import events, snapshots
from ledger.errors import LedgerError
from ledger.records.record import Event, decode_event
from ledger.vocabulary import LEDGER_STREAM
from projections.queries.erasures import erasures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.reading import StoredRecord

MOVED = "the ledger has changed, and with it the plan; look at it again"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be erased, and why: records by position, or all that are a person's."""

    reason: str
    ticket: str
    positions: tuple[int, ...] = ()
    person: Person | None = None

    @classmethod
    def checked(
        cls,
        reason: str,
        ticket: str,
        positions: Sequence[int] = (),
        person: Person | None = None,
    ) -> Wanted:
        """The same, looked at.

        Raises:
            InvalidArgument: a text is blank or too long, or a position is there twice.
        """
        if len(set(positions)) != len(positions):
            raise InvalidArgument("a position is named twice; name each once")
        texts = checked_text(reason, "reason"), checked_text(ticket, "ticket")
        return cls(*texts, tuple(sorted(positions)), person)

    def chosen(self, connection: Connection) -> Iterator[tuple[StoredRecord, Event]]:
        """The records that are meant.

        Raises:
            InvalidArgument: a position is beyond the ledger's end, or was erased already.
        """
        if self.person is not None:
            yield from rows_of_person(connection, self.person)
        for position in self.positions:
            rows = read_records(connection, after=position - 1, up_to=position)
            if not rows:
                raise InvalidArgument(f"there is no record at position {position}")
            if rows[0].is_erased:
                raise InvalidArgument(f"the record at position {position} was erased already")
            yield rows[0], decode_event(rows[0].record)


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done. `redactions`: the positions of the events that say so.

    `not_done`: where bytes of before may still be in the databases' own files, and why. `remains`:
    what no command of ours reaches.
    """

    plan: ErasurePlan
    redactions: tuple[int, ...]
    not_done: tuple[str, ...]
    remains: tuple[str, ...]


def plan_of(site: Site, wanted: Wanted) -> ErasurePlan:
    """What erasing would do; changes nothing.

    Raises:
        InvalidArgument: a record that was chosen by its position cannot be erased.
    """
    engine = site.ledger.engine
    with translated_errors(engine), reading_snapshot(engine) as connection:
        plan = plan_erasure(connection, wanted.chosen(connection), wanted.reason, wanted.ticket)
    if wanted.person is None:
        require_all(plan)
    return plan


def erase(site: Site, context: Context, wanted: Wanted, plan: ErasurePlan) -> Erased:
    """Carry out a plan that was shown: all of it, or nothing.

    Raises:
        CommandError: the ledger changed in the meantime, and with it the plan.
        LedgerError: this login may not do that.
    """
    ledger = site.ledger
    redactions = [each.redaction(wanted.reason, wanted.ticket) for each in plan.erasable]
    if not redactions:  # a process that was killed may have left bytes in the files
        not_done = tuple(_scrub(site)) if _was_erased(site) else ()
        return Erased(plan, (), not_done, _remains(site))
    end = max(plan.positions)
    with ledger.locked() as locked:
        now = plan_erasure(
            locked.connection,
            _still(locked.connection, plan, wanted, end),
            wanted.reason,
            wanted.ticket,
        )
        if now.positions != plan.positions:
            raise CommandError(MOVED)
        drafts = [Draft(LEDGER_STREAM, each) for each in redactions]
        recorded = ledger.append_locked(locked, context, drafts)
        erase_records(locked.connection, redactions)
    site.notify(recorded)
    positions = tuple(each.position for each in recorded)
    return Erased(plan, positions, tuple(_scrub(site)), _remains(site))


def _still(
    connection: Connection, plan: ErasurePlan, wanted: Wanted, end: int
) -> Iterator[tuple[StoredRecord, Event]]:
    """The planned records as they are now, and what has come since of the same person."""
    for position in plan.positions:
        (row,) = read_records(connection, after=position - 1, up_to=position)
        if not row.is_erased:
            yield row, decode_event(row.record)
    if wanted.person is not None:
        left = {each.position for each in plan.left}
        for row, event in rows_of_person(connection, wanted.person, after=end):
            if row.position not in left:
                yield row, event


def _remains(site: Site) -> tuple[str, ...]:
    return (
        "backups of the database, here and off-site: see `erase status`",
        "evidence, CSV files and logs that were handed on",
        backend_of(site.ledger.engine).beyond_erasure,
    )


def _was_erased(site: Site) -> bool:
    """Whether anything was ever erased."""
    engine = site.ledger.engine
    with translated_errors(engine), engine.connect() as connection:
        return bool(erasures(connection))


def _scrub(site: Site) -> Iterator[str]:
    """Leave no bytes of before in the databases' files; what was not possible, in words."""
    engine = site.ledger.engine
    problem = backend_of(engine).scrub(engine, [events.name, snapshots.name])
    if problem is not None:
        yield f"the ledger: {problem}"
    try:
        problem = site.read_models.forget_erased()
    except LedgerError as error:
        problem = str(error)
    if problem is not None:
        yield f"the read models: {problem}"
