"""What is stored, beside what the ledger adds up to: row by row, in one snapshot.

The fold goes as far as the stored rows stand, so being behind is not a difference; nor is a row
that waits to lose what was erased since. Both sides are read in the order of their keys, a few rows
at a time. Nothing is written, and nothing healed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import select, type_coerce
from sqlalchemy.types import NullType

from ledger.append.backend import Tables, backend_of
from ledger.append.database import translated_errors
from ledger.append.erasing.stand_ins import redactions
from projections.projector.generations import has_shape
from projections.projector.projector import Projector, read_at, read_progress, reading
from projections.projector.read_models import ReadModels
from projections.tables import columns as tables
from projections.tables.registry import projections_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Executable

    from ledger.append.ledger import Ledger
    from projections.tables.projection import Projection

ROWS_AT_A_TIME = 1_000

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the ledger says. Values are as the database keeps them."""

    table: str
    key: Any
    problem: Literal["missing row", "extra row", "changed"]
    column: str | None = None
    expected: Any = None
    found: Any = None


def differences(
    read_models: ReadModels, ledger: Ledger, name: str | None = None
) -> list[Difference]:
    """Fold into memory, and compare one read model, or all, with what is stored.

    Raises:
        UnknownProjection: there is no such read model.
        UnreadableEvent: an event that cannot be folded; it names its position.
        LedgerError: the stored rows cannot be read.
    """
    expected = _Expected(ledger, projections_named(name))
    try:
        with translated_errors(read_models.engine):
            # Most of the work comes before the snapshot, which may hold up the application.
            with read_models.engine.connect() as stored:
                positions = expected.positions(stored)
            expected.fold(positions)
            with read_models.engine.connect() as stored:
                expected.fold(expected.positions(stored))
                return list(expected.compared_with(stored))
    finally:
        expected.close()


class _Expected:
    """The read models in memory, each folded to where its stored rows stand."""

    def __init__(self, ledger: Ledger, projections: Sequence[Projection]) -> None:
        self._ledger = ledger
        self._projections = projections
        self._memory = ReadModels.in_memory(ledger, spills=True)
        self._memory.catch_up(0)

    def positions(self, stored: Connection) -> dict[str, int]:
        """Where each stored read model stands; at the head where it does not say."""
        head = self._ledger.log_recorder.head().size
        present = Tables(stored).names()
        all_there = {each.name for each in (tables.progress, *tables.READ_MODELS)} <= present
        progress = read_progress(stored) if all_there else {}
        return {
            each.name: min(progress[each.name].position, head) if each.name in progress else head
            for each in self._projections
        }

    def fold(self, positions: Mapping[str, int]) -> None:
        groups: dict[int, list[Projection]] = defaultdict(list)
        for each in self._projections:
            groups[positions[each.name]].append(each)
        for position, group in groups.items():
            projector = Projector(self._ledger, group)
            with self._memory.engine.begin() as connection:
                progress = read_progress(connection)
                for each in group:
                    if progress[each.name].position > position:  # it was discarded meanwhile
                        projector.discard(connection, each)
                while projector.advance(connection, up_to=position):
                    pass

    def compared_with(self, stored: Connection) -> Iterator[Difference]:
        positions = self.positions(stored)
        with self._memory.engine.connect() as memory:
            for each in self._projections:
                waiting = self._erased_since(each, positions[each.name])
                found = _compare(each, _rows(memory, stored, each), _rows(stored, stored, each))
                yield from (
                    one for one in found if one.problem != "changed" or one.key not in waiting
                )

    def _erased_since(self, projection: Projection, position: int) -> set[Any]:
        """Keys of rows that still hold what was erased after the stored rows' position."""
        with reading(self._ledger) as source:
            erased = [each.details.position for each in redactions(source) if each.at > position]
            return {projection.row_of(each) for each in read_at(source, erased) if each.is_erased}

    def close(self) -> None:
        self._memory.close()


def _rows(connection: Connection, stored: Connection, projection: Projection) -> Iterator[Row]:
    """Rows in the order of their keys, as the stored side's kind of database keeps them."""
    if not has_shape(connection, projection.table):
        return  # no such table, or not in this shape: nothing of it is there
    statement = _statement(projection, connection, stored)
    with connection.execute(statement, execution_options={"yield_per": ROWS_AT_A_TIME}) as rows:
        for row in rows:
            yield tuple(row)


def _statement(projection: Projection, connection: Connection, stored: Connection) -> Executable:
    table, key = projection.table, projection.table.c[projection.key]
    if backend_of(stored).holds_any_value:
        # Unconverted: an edited row may hold anything, in any column.
        return select(*(type_coerce(each, NullType()) for each in table.columns)).order_by(key)
    return select(table).order_by(backend_of(connection).in_order_of_bytes(key))


def _compare(
    projection: Projection, expected: Iterator[Row], found: Iterator[Row]
) -> Iterator[Difference]:
    table = projection.table
    names = [column.name for column in table.columns]
    place = names.index(projection.key)
    wanted, stored = next(expected, None), next(found, None)
    while wanted is not None or stored is not None:
        if stored is None or (wanted and _rank(wanted[place]) < _rank(stored[place])):
            yield Difference(table.name, wanted[place], "missing row")  # type: ignore[index]
            wanted = next(expected, None)
        elif wanted is None or _rank(stored[place]) < _rank(wanted[place]):
            yield Difference(table.name, stored[place], "extra row")
            stored = next(found, None)
        else:
            for name, before, after in zip(names, wanted, stored, strict=True):
                if before != after:
                    yield Difference(table.name, wanted[place], "changed", name, before, after)
            wanted, stored = next(expected, None), next(found, None)


def _rank(value: Any) -> tuple[int, Any]:
    """SQLite's order over values of every kind: nothing, numbers, text, bytes."""
    if value is None:
        return 0, 0
    if isinstance(value, int | float):
        return 1, value
    return (2, value.encode()) if isinstance(value, str) else (3, bytes(value))
