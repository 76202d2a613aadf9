"""A signed ledger, made once and copied for each attack."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.databases import Databases, PostgreSQLDatabases
from tests.ledger.tampering import Attacker, ServerAttacker, copy_of, make_signed_ledger


@pytest.fixture(scope="session")
def signed_template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    path = tmp_path_factory.mktemp("signed") / "template.sqlite"
    return path, make_signed_ledger(path)


@pytest.fixture
def attacker(
    signed_template: tuple[Path, list[bytes]], tmp_path: Path, databases: Databases
) -> Attacker:
    """A copy of a sound ledger of 600 records, signed at 100, 300 and 600."""
    if isinstance(databases, PostgreSQLDatabases):
        server = databases.server
        return ServerAttacker(server.new_database(server.copied(signed_template[0])), server)
    return copy_of(signed_template[0], tmp_path)


@pytest.fixture
def checkpoints(signed_template: tuple[Path, list[bytes]]) -> list[bytes]:
    """What an auditor kept elsewhere: the checkpoints of 100, 300 and 600 records."""
    return signed_template[1]
