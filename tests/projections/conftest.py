"""Read models in a file of their own, and what stands in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ledger.append.database import database_url
from ledger.append.ledger import Ledger
from projections.projector.generations import read_generations
from projections.projector.projector import Healed
from projections.projector.read_models import ReadModels
from projections.tables.registry import all_projections
from tests.databases import Databases

Rows = dict[str, list[dict[str, Any]]]
OpenReadModels = Callable[..., ReadModels]


def rows_of(models: ReadModels) -> Rows:
    """Every row of every read model as it stands now, in the order of the primary key."""
    with models.engine.connect() as connection:
        return {
            each.name: [
                dict(row)
                for row in connection.execute(
                    select(each.table).order_by(*each.table.primary_key)
                ).mappings()
            ]
            for each in all_projections()
        }


def folded_in_memory(ledger: Ledger, up_to: int | None = None) -> Rows:
    """What the rows should be."""
    models = ReadModels.in_memory(ledger)
    assert models.catch_up(up_to)
    rows = rows_of(models)
    models.close()
    return rows


def folded_one_by_one(ledger: Ledger, end: int) -> Iterator[Rows]:
    """What the rows should be at each position from 0 on: the same models, brought along."""
    models = ReadModels.in_memory(ledger)
    for position in range(end + 1):
        assert models.catch_up(position)
        yield rows_of(models)
    models.close()


def taken_heals(models: ReadModels) -> list[Healed]:
    """What was healed and not recorded yet, as if it were recorded now."""
    healed = models.heals()
    models.forget_heals(healed)
    return healed


@pytest.fixture
def models_path(tmp_path: Path) -> Path:
    return tmp_path / "projections.sqlite"


@pytest.fixture
def open_models(
    ledger: Ledger, models_path: Path, databases: Databases
) -> Iterator[OpenReadModels]:
    """Open the read models' file as another process would; all are closed in the end."""
    opened: list[ReadModels] = []

    def open_one(
        path: Path = models_path, of: Ledger = ledger, *, is_applications: bool = False
    ) -> ReadModels:
        url = database_url(databases.url_of(path))
        opened.append(ReadModels.at(url, of, is_applications=is_applications))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def models(open_models: OpenReadModels) -> ReadModels:
    return open_models()


def labels(models: ReadModels) -> list[tuple[str, str]]:
    with models.engine.connect() as connection:
        return [(each.label, each.state) for each in read_generations(connection)]


def edit(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for each in statements:
            connection.execute(each)
    connection.close()
