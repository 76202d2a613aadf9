"""Worlds as the commands' tests have them; and one whose ledger is on a server."""

from __future__ import annotations

import pytest

from tests.commands.conftest import make_world, world
from tests.postgresql_server import Server

__all__ = ["make_world", "on_server", "world"]


@pytest.fixture
def on_server(postgresql: Server) -> dict[str, str]:
    """Settings of a ledger and read models in a new database of the tests' server."""
    url = postgresql.new_database()
    return {"ledger": url, "projections": url}
