"""A question records nothing, adopts nothing, and touches no file but the read models."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.acceptance.place import Place, make_database

QUESTIONS = [
    ("backup", "list"),
    ("backup", "list", "--all", "--json"),
    ("backup", "show", "one.db"),
    ("backup", "show", "stranger.db"),
    ("backup", "restore", "one.db", "--plan"),
    ("retention", "preview", "3", "--global"),
    ("settings", "list"),
    ("settings", "preview", "1"),
    ("status",),
    ("status", "--json"),
    ("audit", "log"),
]


@pytest.fixture
def asked(place: Place) -> Place:
    """A ledger, a backup, a file that nobody recorded, and read models that somebody spoilt."""
    place.done("settings", "set", "1")
    place.done("backup", "create", "one")
    make_database(place.backups / "stranger.db", cases=3)
    with closing(sqlite3.connect(place.backups / "projections.sqlite")) as connection:
        connection.execute("DELETE FROM backup_catalog")
        connection.commit()
    return place


def files(place: Place) -> dict[str, int]:
    """What stands there, besides the read models, with its size."""
    found = [path for path in place.folder.rglob("*") if path.is_file()]
    return {
        str(path): path.stat().st_size for path in found if "projections.sqlite" not in path.name
    }


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_question_records_nothing_and_what_it_healed_is_recorded_later(
    question: tuple[str, ...], asked: Place
) -> None:
    """By the next command that acts, and once."""
    types, before = asked.types(), files(asked)
    asked.done(*question)
    assert asked.types() == types
    assert {name: size for name, size in files(asked).items() if "ledger.sqlite" not in name} == {
        name: size for name, size in before.items() if "ledger.sqlite" not in name
    }
    asked.done("settings", "set", "1", "--keep", "5")
    asked.done("settings", "set", "1", "--keep", "6")
    assert asked.types().count("ledger.projection_rebuilt") == 1


def test_mount_point_without_its_file_system_stays_empty(place: Place) -> None:
    """No question, and no command but `ledger init --new`, begins a second history in it."""
    place.done("settings", "set", "1")
    place.backups.rename(place.folder / "elsewhere")
    place.backups.mkdir()
    for question in (("backup", "list"), ("status",)):
        assert place.run(*question).code == 4
    for command in (("settings", "set", "1"), ("backup", "create"), ("run", "--once")):
        assert place.run(*command).code == 1
    assert list(place.backups.iterdir()) == []
    place.done("ledger", "init", "--new")
    place.done("backup", "create", "one")


def test_two_databases_do_not_share_a_folder(place: Place) -> None:
    """Every command that acts refuses the second one, and names both."""
    place.done("settings", "set", "1")
    place.done("backup", "create", "one")
    other = place.folder / "billing.db"
    make_database(other)
    before = place.types()
    for command in (
        ("settings", "set", "1"),
        ("backup", "create"),
        ("backup", "restore", "one.db", "--yes"),
        ("backup", "reconcile"),
        ("retention", "apply", "3", "--global"),
        ("run", "--once"),
    ):
        refused = place.run("--database", str(other), *command)
        assert refused.code == 5, refused
        assert str(other) in refused.err
        assert str(place.database) in refused.err
    assert "is not backed up here" in place.done("--database", str(other), "status").out
    missing = place.run("--database", str(place.folder / "typo.db"), "settings", "set", "1")
    assert missing.code == 4
    assert place.types() == before
