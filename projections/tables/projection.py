"""What a projection is: a name, a version, a table, and a fold over batches of events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from sqlalchemy import bindparam, select

from ledger.append.batched import batched
from projections.errors import UnfoldableEvent
from projections.tables.bulk import writer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy import Connection, Table

    from ledger.append.ledger import RecordedEvent
    from ledger.records.record import Event
    from projections.tables.bulk import BulkWriter

    ReadStreams = Callable[[Collection[str]], Iterable[RecordedEvent]]

State = TypeVar("State")
Row = dict[str, Any]


class Projection(ABC):
    """A read model folded from events. It never reads the clock or another projection."""

    name: ClassVar[str]
    version: ClassVar[int]
    key: ClassVar[str]
    table: Table

    def into(self, table: Table) -> Self:
        """The same read model, folded into another table of the same shape."""
        bound = type(self)()
        bound.table = table
        return bound

    @abstractmethod
    def apply(self, connection: Connection, batch: Sequence[RecordedEvent]) -> bool:
        """Fold a batch into the table, in the caller's transaction; whether it wrote any row."""

    @abstractmethod
    def fold_again(
        self, connection: Connection, erased: Sequence[RecordedEvent], read: ReadStreams
    ) -> None:
        """Fold again what events were folded into whose records were erased since.

        `erased`: what stands in for them. `read`: streams, as far as this table has come.
        """

    @abstractmethod
    def row_of(self, recorded: RecordedEvent) -> Any | None:
        """The key of the row that an event is folded into; None where it is none."""


class KeyedProjection(Projection, Generic[State]):
    """One row a thing: the rows that a batch concerns are loaded, folded and written back."""

    state_class: type[State]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The table's columns, which are the state's fields."""
        return tuple(column.name for column in self.table.columns)

    def apply(self, connection: Connection, batch: Sequence[RecordedEvent]) -> bool:
        key_of, evolved = self.key_of, self._evolved
        concerned = [(key, each) for each in batch if (key := key_of(each.event)) is not None]
        if not concerned:
            return False
        states = self._load(connection, {key for key, _each in concerned})
        for key, each in concerned:
            before = states.get(key)
            state = evolved(before, each)
            if state is not None:
                if before is None:
                    self.born(connection, state, each)
                states[key] = state
        self._writer.write(connection, [self.values_of(each) for each in states.values()])
        return bool(states)

    def fold_again(
        self, connection: Connection, erased: Sequence[RecordedEvent], read: ReadStreams
    ) -> None:
        keys = {key for each in erased if (key := self.key_of(each.event)) is not None}
        before = self._load(connection, keys) if keys else {}
        if not before:
            return
        streams = {stream for state in before.values() for stream in self.streams_of(state)}
        states: dict[Any, State] = {}
        for each in read(streams):
            key = self.key_of(each.event)
            if key not in before:
                continue
            state = self._evolved(states.get(key), each)
            if state is not None:
                if key not in states:
                    self.born_again(state, before[key], each)
                states[key] = state
        self._writer.write(connection, [self.values_of(each) for each in states.values()])

    def row_of(self, recorded: RecordedEvent) -> Any | None:
        return self.key_of(recorded.event)

    @abstractmethod
    def streams_of(self, state: State) -> Sequence[str]:
        """The streams whose events a row is folded from."""

    @abstractmethod
    def key_of(self, event: Event) -> Any | None:
        """Which row an event concerns; None for none."""

    @abstractmethod
    def evolve(self, state: State | None, event: Event) -> State | None:
        """Fold one event."""

    def born(self, connection: Connection, state: State, recorded: RecordedEvent) -> None:
        """A row's first event was folded."""
        del connection
        state.position = recorded.position  # type: ignore[attr-defined]

    def born_again(self, state: State, before: State, recorded: RecordedEvent) -> None:
        """A row's first event was folded once more."""
        del before
        state.position = recorded.position  # type: ignore[attr-defined]

    def values_of(self, state: State) -> Sequence[Any]:
        """The row's values, in the order of the table's columns."""
        return self._get_values(state)  # type: ignore[no-any-return]

    def from_row(self, row: Row) -> State:
        return self.state_class(**row)

    def _evolved(self, before: State | None, recorded: RecordedEvent) -> State | None:
        try:
            return self.evolve(before, recorded.event)
        except ValueError as error:  # such as a time zone that this machine does not know
            raise UnfoldableEvent(
                f"position {recorded.position} ({recorded.event.event_type}) cannot be folded "
                f"into {self.name}: {error}"
            ) from error

    def _load(self, connection: Connection, keys: Iterable[Any]) -> dict[Any, State]:
        ordered = sorted(keys)
        states: dict[Any, State] = {}
        for wanted in batched(ordered):
            single, several = self._lookups
            found = (
                connection.execute(single, {"wanted": wanted[0]})
                if len(wanted) == 1
                else connection.execute(several, {"wanted": wanted})
            )
            for row in found.mappings():
                states[row[self.key]] = self.from_row(dict(row))
        return states

    @cached_property
    def _get_values(self) -> attrgetter[Any]:
        return attrgetter(*self.columns)

    @cached_property
    def _writer(self) -> BulkWriter:
        return writer_of(self.table, (self.key,))

    @cached_property
    def _lookups(self) -> tuple[Any, Any]:
        """Statements for one key, which is the usual case and cheaper, and for several."""
        column = self.table.c[self.key]
        several = column.in_(bindparam("wanted", expanding=True))
        single = column == bindparam("wanted")
        return select(self.table).where(single), select(self.table).where(several)


def upsert(
    connection: Connection, table: Table, keys: tuple[str, ...], rows: Sequence[Row]
) -> None:
    """Write rows, replacing those with the same keys."""
    names = table.columns.keys()
    writer_of(table, keys).write(connection, [[row[name] for name in names] for row in rows])
