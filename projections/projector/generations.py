"""Generations of a read model beside the one that serves: one being built, older ones kept.

The one that serves has the fixed name that applications know. The others have names of their own,
and stand in `ledger_projection_generations` with the position that they were folded to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import (
    JSON,
    Index,
    MetaData,
    Table,
    Text,
    and_,
    case,
    cast,
    delete,
    func,
    or_,
    select,
    text,
)

from ledger.append.backend import Tables, backend_of, quoted
from projections.tables import columns as tables
from projections.tables.projection import upsert

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from projections.projector.projector import Progress

State = Literal["building", "kept"]
BUILDING: State = "building"
KEPT: State = "kept"


@dataclass(frozen=True, slots=True)
class Generation:
    """One that does not serve. `problem`: what stopped it from being built."""

    name: str
    state: State
    version: int
    ledger_id: str
    position: int
    leaf_hash: bytes
    has_rows: bool
    problem: str | None = None

    @property
    def label(self) -> str:
        """As `projections drop` takes it."""
        return f"{self.name}@{self.version}"

    @property
    def table_name(self) -> str:
        return table_name(self.name, self.state, self.version)


def generation_of(progress: Progress) -> Generation:
    """What serves, as it will be kept."""
    return Generation(
        progress.name,
        KEPT,
        progress.version,
        progress.ledger_id,
        progress.position,
        progress.leaf_hash,
        progress.has_rows,
    )


def table_name(name: str, state: State, version: int) -> str:
    suffix = BUILDING if state == BUILDING else f"at_{version}"
    return f"ledger_projection_{name}_{suffix}"


def read_generations(connection: Connection) -> list[Generation]:
    """All that there are; none where the tables are of before there were any."""
    if not Tables(connection).has(tables.generations.name):
        return []
    order = tables.generations.c["name", "state", "version"]
    rows = connection.execute(select(tables.generations).order_by(*order)).mappings()
    return [Generation(**{**row, "leaf_hash": bytes(row["leaf_hash"])}) for row in rows]


def find_generation(
    connection: Connection, name: str, state: State, version: int | None = None
) -> Generation | None:
    for each in read_generations(connection):
        if (each.name, each.state) == (name, state) and version in (None, each.version):
            return each
    return None


def write_generation(connection: Connection, generation: Generation) -> None:
    row = {name: getattr(generation, name) for name in tables.generations.columns.keys()}  # noqa: SIM118
    upsert(connection, tables.generations, ("name", "state", "version"), [row])


def forget_generation(connection: Connection, generation: Generation) -> None:
    """Its row; its table has another name by then."""
    known = tables.generations.c
    connection.execute(
        delete(tables.generations).where(
            known.name == generation.name,
            known.state == generation.state,
            known.version == generation.version,
        )
    )


def drop_generation(connection: Connection, generation: Generation) -> None:
    """Table and row."""
    drop_table(connection, generation.table_name)
    forget_generation(connection, generation)


def drop_table(connection: Connection, name: str) -> None:
    connection.execute(text(f"DROP TABLE IF EXISTS {quoted(connection, name)}"))


def has_shape(connection: Connection, table: Table) -> bool:
    """Whether a table is there, with all of its columns."""
    found = Tables(connection)
    wanted = {column.name for column in table.columns}
    return found.has(table.name) and wanted <= found.columns(table.name)


def shadow_of(table: Table, name: str) -> Table:
    """The same columns, keys and checks under another name; its other indexes come later."""
    metadata = MetaData()
    for each in table.metadata.tables.values():
        if each is not table and any(key.column.table is each for key in table.foreign_keys):
            each.to_metadata(metadata)
    shadow = table.to_metadata(metadata, name=name)
    shadow.indexes.clear()
    return shadow


def add_indexes(connection: Connection, table: Table, shadow: Table) -> None:
    """The indexes of a table on its shadow, under names that are free."""
    taken = backend_of(connection).index_names(connection)
    present = Tables(connection).indexes(shadow.name)
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        columns = [column.name for column in index.columns]
        if tuple(columns) in present:
            continue
        number = 1
        while f"{index.name}_{number}" in taken:
            number += 1
        copy = Index(f"{index.name}_{number}", *(shadow.c[name] for name in columns))
        copy.create(connection)
        shadow.indexes.discard(copy)


def exchange(connection: Connection, coming: Generation, going: Generation) -> None:
    """Let one generation serve in the place of another, in the caller's transaction."""
    name = coming.name
    backend = backend_of(connection)
    triggers = backend.triggers_on(connection, name)
    aside = f"ledger_projection_{name}_aside"
    backend.rename_table(connection, name, aside)
    backend.rename_table(connection, coming.table_name, name)
    if going.table_name != coming.table_name:
        drop_table(connection, going.table_name)
    backend.rename_table(connection, aside, going.table_name)
    _move_triggers(connection, triggers)
    forget_generation(connection, coming)
    write_generation(connection, going)
    row = {each: getattr(coming, each) for each in tables.progress.columns.keys()}  # noqa: SIM118
    upsert(connection, tables.progress, ("name",), [row])


def _move_triggers(connection: Connection, triggers: list[tuple[str, str]]) -> None:
    """Put triggers where they were, by the table's name, after the table was exchanged."""
    for name, statement in triggers:
        connection.execute(text(f"DROP TRIGGER {quoted(connection, name)}"))
        connection.exec_driver_sql(statement)


def differing_rows(connection: Connection, shadow: Table, table: Table, key: str) -> int:
    """How many rows are in one of two tables and not, or not the same, in the other."""

    def text_of(column: Any) -> Any:
        # PostgreSQL cannot compare JSON, but its text.
        return cast(column, Text) if isinstance(column.type, JSON) else column

    is_in_both = table.c[key].is_not(None)
    has_changed = or_(
        *(
            text_of(each).is_distinct_from(text_of(table.c[name]))
            for name, each in shadow.columns.items()
            if name != key
        )
    )
    beside = shadow.outerjoin(table, shadow.c[key] == table.c[key])
    found = connection.execute(
        select(
            func.count(),
            func.count(case((is_in_both, 1))),
            func.count(case((and_(is_in_both, has_changed), 1))),
        ).select_from(beside)
    ).one()
    mine, both, changed = found
    theirs = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return int(changed + (mine - both) + (theirs - both))
