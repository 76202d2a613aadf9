"""Older software meets the ledger of newer software: one line, and nothing done."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.acceptance.place import FAILED, Place, require_clear

COMMANDS = (
    ("run", "--once"),
    ("status",),
    ("backup", "create"),
    ("backup", "list"),
    ("audit", "verify"),
    ("settings", "set", "1"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_says_update(place: Place, command: tuple[str, ...]) -> None:
    """Whether it acts or asks."""
    place.done("backup", "create", "one")
    with closing(sqlite3.connect(place.ledger)) as connection:
        connection.execute("UPDATE ledger_meta SET software_version = '99.0.0'")
        connection.commit()
    before = place.types()
    require_clear(place.run(*command), FAILED, "written by backup-ledger 99.0.0")
    require_clear(place.run(*command), FAILED, "; update backup-ledger")
    assert place.types() == before
