"""Every way in which stored rows can differ from the ledger is named, and nothing else."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ledger.append.ledger import Ledger
from ledger.errors import LedgerBusy
from ledger.events.scheduling import SettingsCreated
from projections.errors import UnknownProjection
from projections.projector import comparison
from projections.projector import read_models as read_models_module
from projections.projector.comparison import Difference, differences
from projections.projector.read_models import ReadModels
from tests.conftest import OpenLedger
from tests.projections.conftest import OpenReadModels, rows_of
from tests.projections.stories import births_aside, tell
from tests.sample_events import CONTEXT, draft

KEYS = {
    "backup_settings": "user_id",
    "backup_catalog": "backup_id",
    "backup_runs": "run_id",
    "offsite_destinations": "repository_id",
    "offsite_copies": "copy_id",
    "audit_trail": "position",
}


@pytest.fixture
def told(ledger: Ledger, models: ReadModels) -> ReadModels:
    """Read models of a story, up to date."""
    tell(ledger)
    assert models.catch_up()
    assert all(len(rows) >= 3 for rows in rows_of(models).values())
    return models


def run_sql(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def nth_key(models: ReadModels, table: str, number: int) -> Any:
    return sorted(row[KEYS[table]] for row in rows_of(models)[table])[number]


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2, 1_000])
@pytest.mark.parametrize("name", [None, *KEYS])
def test_rows_that_were_folded_are_not_different(
    ledger: Ledger,
    told: ReadModels,
    monkeypatch: pytest.MonkeyPatch,
    name: str | None,
    batch: int,
) -> None:
    """However many are read at a time."""
    monkeypatch.setattr(comparison, "ROWS_AT_A_TIME", batch)
    assert differences(told, ledger, name) == []


def test_an_empty_ledger_has_no_differences(ledger: Ledger, models: ReadModels) -> None:
    """Before the first event, and before the first catch-up."""
    assert differences(models, ledger) == []
    assert models.catch_up()
    assert differences(models, ledger) == []


def test_rows_that_are_only_behind_are_not_different(ledger: Ledger, told: ReadModels) -> None:
    """They are compared with the fold up to where they stand, and are not brought along."""
    before = rows_of(told)
    ledger.append(CONTEXT, *births_aside(5))
    assert differences(told, ledger) == []
    assert rows_of(told) == before


@pytest.mark.slow
@pytest.mark.parametrize("table", KEYS)
@pytest.mark.parametrize("number", [0, 1, -1], ids=["first", "second", "last"])
def test_a_missing_row_is_named(
    ledger: Ledger, told: ReadModels, models_path: Path, table: str, number: int
) -> None:
    """By its table and key, wherever it stood."""
    key = nth_key(told, table, number)
    run_sql(models_path, f"DELETE FROM {table} WHERE {KEYS[table]} = '{key}'")
    assert differences(told, ledger) == [Difference(table, key, "missing row")]
    assert differences(told, ledger, table) == [Difference(table, key, "missing row")]
    others = [name for name in KEYS if name != table]
    assert [differences(told, ledger, name) for name in others] == [[] for _ in others]


@pytest.mark.slow
@pytest.mark.parametrize("table", KEYS)
@pytest.mark.parametrize("extra", [-5, 10**15, "zzz", ""], ids=repr)
def test_an_extra_row_is_named(
    ledger: Ledger, told: ReadModels, models_path: Path, table: str, extra: int | str
) -> None:
    """Also one with a key of another kind than the table has."""
    if table == "audit_trail" and isinstance(extra, str):
        extra = 10**6  # SQLite itself keeps such keys out of a primary key of integers
    column = KEYS[table]
    found = [name for name in rows_of(told)[table][0] if name not in (column, "id")]
    copied = ", ".join(found)
    run_sql(
        models_path,
        f"INSERT INTO {table} ({column}, {copied}) SELECT '{extra}', {copied} FROM {table} LIMIT 1",
    )
    (difference,) = differences(told, ledger)
    assert (difference.table, difference.problem) == (table, "extra row")
    assert str(difference.key) == str(extra)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("backup_settings", "keep_count", 29),
        ("backup_settings", "enabled", 7),
        ("backup_settings", "next_backup_at", "tomorrow"),
        ("backup_settings", "id", 99),
        ("backup_catalog", "status", "fine"),
        ("backup_catalog", "holds", "not JSON"),
        ("backup_catalog", "size", "large"),
        ("backup_catalog", "created_at", "2025-01-13 03:00:05.000001"),
        ("backup_runs", "outcome", "completed, I promise"),
        ("backup_runs", "duration_seconds", 0.25),
        ("audit_trail", "success", "yes"),
        ("audit_trail", "actor_id", "somebody else"),
    ],
)
def test_an_edited_value_is_named_with_what_it_should_be(
    ledger: Ledger,
    told: ReadModels,
    models_path: Path,
    table: str,
    column: str,
    value: object,
) -> None:
    """Whatever was put in its place: text for a time, a word for a number."""
    key = nth_key(told, table, 1)
    expected = raw_value(models_path, table, column, key)
    with sqlite3.connect(models_path) as connection:
        edit = f"UPDATE {table} SET {column} = ? WHERE {KEYS[table]} = ?"
        connection.execute(edit, (value, key))
    connection.close()
    found = differences(told, ledger)
    assert found == [Difference(table, key, "changed", column, expected, value)]


def raw_value(path: Path, table: str, column: str, key: object) -> Any:
    connection = sqlite3.connect(path)
    found = connection.execute(f"SELECT {column} FROM {table} WHERE {KEYS[table]} = ?", (key,))
    (value,) = found.fetchone()
    connection.close()
    return value


def test_an_edited_key_is_a_missing_and_an_extra_row(
    ledger: Ledger, told: ReadModels, models_path: Path
) -> None:
    """Nobody can know which row it was."""
    run_sql(models_path, "UPDATE backup_settings SET user_id = 2000 WHERE user_id = 2")
    assert differences(told, ledger) == [
        Difference("backup_settings", 2, "missing row"),
        Difference("backup_settings", 2000, "extra row"),
    ]


def test_many_differences_are_all_named(
    ledger: Ledger, told: ReadModels, models_path: Path
) -> None:
    """In the order of tables and keys."""
    run_sql(
        models_path,
        "UPDATE backup_settings SET keep_count = 30, timezone = 'X' WHERE user_id = 1",
        "DELETE FROM backup_settings WHERE user_id = 3",
        "DELETE FROM audit_trail",
    )
    found = differences(told, ledger)
    assert [(each.key, each.problem, each.column) for each in found[:3]] == [
        (1, "changed", "keep_count"),
        (1, "changed", "timezone"),
        (3, "missing row", None),
    ]
    assert [each.key for each in found[3:]] == list(range(1, len(found) - 2))


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE backup_settings",
        "ALTER TABLE backup_settings DROP COLUMN failures",
        "DELETE FROM backup_settings",
    ],
)
def test_rows_of_a_table_that_is_gone_are_missing(
    ledger: Ledger,
    told: ReadModels,
    open_models: OpenReadModels,
    models_path: Path,
    statement: str,
) -> None:
    """Looking does not heal; the next start does."""
    run_sql(models_path, statement)
    wanted = [Difference("backup_settings", user, "missing row") for user in (1, 2, 3)]
    assert differences(told, ledger) == wanted
    assert differences(told, ledger) == wanted
    assert open_models().catch_up()
    assert differences(told, ledger) == []


@pytest.mark.slow
def test_read_models_that_were_never_folded_miss_every_row(
    ledger: Ledger, models: ReadModels
) -> None:
    """Nothing is stored, and nothing is made by looking."""
    ledger.append(CONTEXT, draft(SettingsCreated))
    found = differences(models, ledger)
    assert found == [
        Difference("backup_settings", 1, "missing row"),
        Difference("audit_trail", 1, "missing row"),
    ]


def test_rows_of_another_ledger_are_different(
    ledger: Ledger, told: ReadModels, open_ledger: OpenLedger, tmp_path: Path
) -> None:
    """Also where it has fewer events than they stand at."""
    other = open_ledger(tmp_path / "other.sqlite")
    other.append(CONTEXT, draft(SettingsCreated))
    assert Difference("audit_trail", 2, "extra row") in differences(told, other)


def test_an_unknown_name_is_an_error(ledger: Ledger, models: ReadModels) -> None:
    """And not an empty answer."""
    with pytest.raises(UnknownProjection):
        differences(models, ledger, "users")


def test_a_database_that_cannot_be_read_is_an_error(
    ledger: Ledger,
    open_models: OpenReadModels,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In one line, and not an empty answer."""
    monkeypatch.setattr(read_models_module, "WRITE_WAIT_SECONDS", 0.1)
    path = tmp_path / "app.db"
    models = open_models(path, is_applications=True)
    assert models.catch_up()
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerBusy, match=r"app\.db is locked"):
        differences(models, ledger)
    locker.close()
