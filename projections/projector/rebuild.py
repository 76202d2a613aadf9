"""Building a read model anew beside the one that serves, and letting it take over.

It is folded into a table of its own, a batch and a transaction at a time, while readers keep the
old rows and commands go on to bring those along. Whoever continues it after a kill, or helps from
another process, finds the position in the same transaction as the rows. When it has caught up, one
transaction exchanges the two; the old rows are kept until somebody drops them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ledger.append.reading import NO_LIMIT
from projections.errors import NoSuchGeneration, UnreadableEvent
from projections.projector.garbage import collected_later
from projections.projector.generations import (
    BUILDING,
    Generation,
    add_indexes,
    differing_rows,
    drop_table,
    exchange,
    find_generation,
    forget_generation,
    generation_of,
    has_shape,
    shadow_of,
    table_name,
    write_generation,
)
from projections.projector.projector import (
    BATCH_EVENTS,
    NO_LEAF,
    count_rows,
    fold_batch,
    has_rows,
    leaf_at,
    read_batch,
    read_progress,
)
from projections.tables.schema import shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection
    from sqlalchemy.engine import Engine

    from ledger.append.ledger import Ledger, RecordedEvent
    from projections.tables.projection import Projection

    Writing = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What took over, and what it replaced.

    `differing`: rows in which it is not what served before; None where the two could not be
    compared, because they are of different versions or never stood at one position.
    """

    name: str
    version: int
    position: int
    rows: int
    replaced_version: int
    differing: int | None


class Rebuild:
    """Some read models of one ledger, being built. `writing`: opens a write transaction."""

    def __init__(
        self, engine: Engine, ledger: Ledger, projections: Sequence[Projection], writing: Writing
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._projections = tuple(projections)
        self._writing = writing
        self._shadows: dict[str, Projection] = {}

    def begin(self) -> None:
        """Go on where an earlier attempt stopped, if it was of this version and history."""
        with self._writing() as connection:
            for each in self._projections:
                shape = shape_of(each.table, connection)
                shadow = shadow_of(shape, table_name(each.name, BUILDING, each.version))
                self._shadows[each.name] = each.into(shadow)
                found = find_generation(connection, each.name, BUILDING)
                if found is not None and self._can_go_on(connection, each, found):
                    write_generation(connection, replace(found, problem=None))
                    continue
                if found is not None:
                    forget_generation(connection, found)
                drop_table(connection, shadow.name)
                shadow.create(connection)
                write_generation(connection, self._at(each, 0, NO_LEAF, has_rows=False))

    @collected_later()
    def advance(self) -> bool:
        """Fold one batch; False where nothing is left for now.

        Raises:
            UnreadableEvent: names position and reason; what serves is not touched.
        """
        standing = self._standing()
        behind = min(each.position for each in standing.values())
        ahead = [each.position for each in standing.values() if each.position > behind]
        try:
            batch, leaf = read_batch(self._ledger, behind, min([*ahead, NO_LIMIT]))
        except UnreadableEvent as error:
            self._record_problem(str(error))
            raise
        if not batch:
            return False
        names = [name for name, each in standing.items() if each.position == behind]
        with self._writing() as connection:
            self._fold(connection, names, behind, batch, leaf)
        return bool(ahead) or len(batch) == BATCH_EVENTS

    @property
    def position(self) -> int:
        """How far all of them have come."""
        return min(each.position for each in self._standing().values())

    def add_indexes(self) -> None:
        """The indexes are made once the rows are there: that is much quicker."""
        with self._writing() as connection:
            for each in self._projections:
                add_indexes(connection, each.table, self._shadows[each.name].table)

    def compare(self) -> dict[str, int]:
        """Name -> rows that differ from what serves, for those that stand at one position."""
        with self._engine.connect() as connection:
            serving = read_progress(connection)
            return {
                each.name: differing_rows(
                    connection, self._shadows[each.name].table, each.table, each.key
                )
                for each in self._projections
                if (old := serving.get(each.name)) is not None
                and (built := find_generation(connection, each.name, BUILDING)) is not None
                and (old.version, old.position) == (built.version, built.position)
            }

    def take_over(self, differing: dict[str, int]) -> list[Rebuilt]:
        """Fold what came last, and exchange the tables, in one transaction."""
        with self._writing() as connection:
            while self._fold_the_rest(connection):
                pass
            return [
                self._exchange(connection, each, differing.get(each.name))
                for each in self._projections
            ]

    @collected_later()
    def _fold_the_rest(self, connection: Connection) -> bool:
        standing = {each.name: self._found(connection, each) for each in self._projections}
        behind = min(each.position for each in standing.values())
        ahead = [each.position for each in standing.values() if each.position > behind]
        batch, leaf = read_batch(self._ledger, behind, min([*ahead, NO_LIMIT]))
        names = [name for name, each in standing.items() if each.position == behind]
        if batch:
            self._fold(connection, names, behind, batch, leaf)
        return bool(batch)

    def _fold(
        self,
        connection: Connection,
        names: Sequence[str],
        behind: int,
        batch: Sequence[RecordedEvent],
        leaf: bytes,
    ) -> None:
        for each in self._projections:
            if each.name not in names:
                continue
            found = self._found(connection, each)
            if found.position != behind:
                continue  # another process was quicker
            shadow = self._shadows[each.name]
            fold_batch(self._ledger, connection, shadow, batch)
            holds_any = found.has_rows or has_rows(connection, shadow)
            write_generation(
                connection, self._at(each, batch[-1].position, leaf, has_rows=holds_any)
            )

    def _exchange(
        self, connection: Connection, projection: Projection, differing: int | None
    ) -> Rebuilt:
        built = self._found(connection, projection)
        old = generation_of(read_progress(connection)[projection.name])
        exchange(connection, built, old)
        rows = count_rows(connection, projection)
        return Rebuilt(
            projection.name, projection.version, built.position, rows, old.version, differing
        )

    def _standing(self) -> dict[str, Generation]:
        with self._engine.connect() as connection:
            return {each.name: self._found(connection, each) for each in self._projections}

    def _found(self, connection: Connection, projection: Projection) -> Generation:
        found = find_generation(connection, projection.name, BUILDING, projection.version)
        if found is None:
            raise NoSuchGeneration(
                f"{projection.name} is no longer being built: another process finished or "
                "dropped it; see: backup-ledger projections list"
            )
        return found

    def _can_go_on(self, connection: Connection, projection: Projection, found: Generation) -> bool:
        shadow = self._shadows[projection.name]
        return (
            found.version == projection.version
            and found.ledger_id == self._ledger.meta.ledger_id
            and leaf_at(self._ledger, found.position) == found.leaf_hash
            and has_shape(connection, shadow.table)
            and has_rows(connection, shadow) == found.has_rows
        )

    def _record_problem(self, problem: str) -> None:
        with self._writing() as connection:
            for each in self._projections:
                found = self._found(connection, each)
                write_generation(connection, replace(found, problem=problem))

    def _at(
        self, projection: Projection, position: int, leaf: bytes, *, has_rows: bool
    ) -> Generation:
        return Generation(
            projection.name,
            BUILDING,
            projection.version,
            self._ledger.meta.ledger_id,
            position,
            leaf,
            has_rows,
        )
