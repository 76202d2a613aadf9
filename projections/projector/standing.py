"""Where each generation of each read model stands, and the ledger's root at that place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import MetaData, Table, func, select

from ledger.append.backend import Tables
from ledger.append.reading import read_head
from ledger.append.stored_tree import TreeReader
from ledger.tree.proofs import ProofError, root_at
from projections.projector.generations import read_generations
from projections.projector.projector import read_progress, reading
from projections.tables import columns as tables

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import Engine

    from ledger.append.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Standing:
    """One generation of a read model.

    `name`: with @version where it does not serve. `root`: hex, of the ledger's tree at `position`;
    None where the ledger has no such position. `problem`: what stopped it from being built.
    """

    name: str
    version: int
    state: str
    position: int
    lag: int
    rows: int | None
    root: str | None
    problem: str | None = None


def standing(engine: Engine, ledger: Ledger, *, in_full: bool = True) -> list[Standing]:
    """Those that serve, in the catalog's order, then the others.

    `in_full`: with numbers of rows and roots, which take longer the larger everything is.
    """
    with engine.connect() as connection, reading(ledger) as history:
        found = Tables(connection)
        if not found.has(tables.progress.name):
            return []
        size = read_head(history).size
        present = found.names()
        serving = read_progress(connection)
        every = [
            (serving[name], name, "serving", name, None)
            for name in (each.name for each in tables.READ_MODELS)
            if name in serving
        ] + [
            (each, each.label, each.state, each.table_name, each.problem)
            for each in read_generations(connection)
        ]
        roots = {each.position for each, *_ in every} if in_full else set()
        root_of = {position: _root(history, position) for position in roots}
        return [
            Standing(
                name=label,
                version=each.version,
                state=state,
                position=each.position,
                lag=size - each.position,
                rows=_rows(connection, place) if in_full and place in present else None,
                root=root_of.get(each.position),
                problem=problem,
            )
            for each, label, state, place, problem in every
        ]


def _rows(connection: Connection, name: str) -> int:
    return connection.execute(
        select(func.count()).select_from(Table(name, MetaData()))
    ).scalar_one()


def _root(history: Connection, position: int) -> str | None:
    try:
        return root_at(position, TreeReader(history)).hex()
    except ProofError:
        return None
