"""The state machine of commands once more, with ledger and read models on a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from ledger.append.database import database_url, open_engine
from projections.tables.columns import metadata
from tests.postgresql_server import Server
from tests.properties.test_commands_state_machine import Commands

_SERVERS: list[Server] = []


@pytest.fixture(autouse=True)
def _server(postgresql: Server) -> Iterator[None]:
    _SERVERS.append(postgresql)
    yield
    _SERVERS.clear()


class CommandsOnServer(Commands):
    """The folder has the backups; everything that is told of them is in a database."""

    url: str | None = None

    def places(self) -> dict[str, str]:
        if self.url is None:
            self.url = _SERVERS[-1].new_database()
        return {"ledger": self.url, "projections": self.url}

    def throw_away(self) -> None:
        assert self.url is not None
        engine = open_engine(database_url(self.url))
        metadata.drop_all(engine)
        engine.dispose()


CommandsOnServer.TestCase.settings = settings(Commands.TestCase.settings, max_examples=3)
TestCommandsOnServer = CommandsOnServer.TestCase
