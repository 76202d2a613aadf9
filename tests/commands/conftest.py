"""A fresh world for each test, at midnight of a new year; its records are held to the design."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.clock import ManualClock
from tests.commands.designed import require_as_designed
from tests.commands.world import MIDNIGHT, World, make_database
from tests.databases import Databases

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, databases: Databases
) -> Iterator[MakeWorld]:
    """A world with these settings; all are closed in the end."""
    for name in [each for each in os.environ if each.startswith("BACKUP_LEDGER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    made: list[World] = []

    def make(name: str = "site", *, users: int = 0, **options: Any) -> World:
        folder = tmp_path / name
        folder.mkdir()
        if databases.name != "sqlite":
            url = databases.url_of(folder)
            options = {"ledger": url, "projections": url} | options
        world = World(folder, ManualClock(MIDNIGHT), options)
        make_database(world.database, users=users)
        made.append(world)
        return world

    yield make
    for world in made:
        if world.sites:
            require_as_designed(world.site)
        world.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()
