"""A fresh place for each test, with nothing of the machine's own configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.place import Place, make_database


@pytest.fixture(autouse=True, scope="session")
def _own_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [each for each in os.environ if each.startswith("BACKUP_LEDGER_")]:
            patch.delenv(name)
        yield


@pytest.fixture
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A folder with nothing in it."""
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path)


@pytest.fixture
def place(empty_place: Place) -> Place:
    """A folder with a database of twenty cases, never backed up."""
    make_database(empty_place.database)
    return empty_place
