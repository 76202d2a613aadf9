"""A world whose ledger and read models are in a new database of the tests' server."""

from __future__ import annotations

import pytest

from tests.commands.conftest import MakeWorld, make_world
from tests.commands.world import World
from tests.postgresql_server import Server

__all__ = ["make_world"]


@pytest.fixture
def served(make_world: MakeWorld, postgresql: Server) -> World:
    url = postgresql.new_database()
    return make_world(ledger=url, projections=url)
