"""Read models heal by themselves: whatever was done to them, the same rows come back."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from ledger.append.ledger import Ledger
from projections.projector.read_models import ReadModels
from tests.conftest import OpenLedger
from tests.projections.conftest import OpenReadModels, folded_in_memory, rows_of, taken_heals
from tests.projections.stories import births_aside, tell
from tests.sample_events import CONTEXT

NAMES = [
    "backup_settings",
    "backup_catalog",
    "backup_runs",
    "offsite_destinations",
    "offsite_copies",
    "audit_trail",
]


def run_sql(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def assert_heals(ledger: Ledger, models: ReadModels, reason: str, names: list[str]) -> None:
    """The rows come back by themselves, and it is said why, once."""
    with models.reading():
        pass
    assert rows_of(models) == folded_in_memory(ledger)
    healed = taken_heals(models)
    assert [each.name for each in healed] == names
    assert all(reason in each.reason for each in healed)
    assert taken_heals(models) == []
    assert models.catch_up()
    assert taken_heals(models) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_running", [True, False], ids=["while running", "while stopped"])
def test_rows_that_were_deleted_come_back(
    ledger: Ledger,
    models: ReadModels,
    open_models: OpenReadModels,
    models_path: Path,
    name: str,
    is_running: bool,
) -> None:
    """In a process that runs, and in one that starts."""
    tell(ledger)
    assert models.catch_up()
    run_sql(models_path, f"DELETE FROM {name}")
    assert_heals(ledger, models if is_running else open_models(), "deleted", [name])


def test_rows_that_were_deleted_come_back_with_what_was_appended_since(
    ledger: Ledger, models: ReadModels, models_path: Path
) -> None:
    """Newer events are not folded onto the rows that are left."""
    tell(ledger)
    assert models.catch_up()
    run_sql(models_path, "DELETE FROM backup_settings", "DELETE FROM backup_catalog")
    ledger.append(CONTEXT, *births_aside(4))
    assert_heals(ledger, models, "deleted", ["backup_settings", "backup_catalog"])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_running", [True, False], ids=["while running", "while stopped"])
def test_a_table_that_was_dropped_comes_back(
    ledger: Ledger,
    models: ReadModels,
    open_models: OpenReadModels,
    models_path: Path,
    name: str,
    is_running: bool,
) -> None:
    """As if it had only been emptied."""
    tell(ledger)
    assert models.catch_up()
    run_sql(models_path, f"DROP TABLE {name}")
    assert_heals(ledger, models if is_running else open_models(), "missing", [name])


@pytest.mark.parametrize("is_running", [True, False], ids=["while running", "while stopped"])
def test_progress_that_was_deleted_is_made_again(
    ledger: Ledger,
    models: ReadModels,
    open_models: OpenReadModels,
    models_path: Path,
    is_running: bool,
) -> None:
    """Rows without progress are folded again from nothing, not on top of what is there."""
    tell(ledger)
    assert models.catch_up()
    run_sql(models_path, "DELETE FROM ledger_projection_progress")
    later = models if is_running else open_models()
    assert later.catch_up()
    assert rows_of(later) == folded_in_memory(ledger)


def delete_database(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def test_a_file_that_was_deleted_comes_back(
    ledger: Ledger, models: ReadModels, open_models: OpenReadModels, models_path: Path
) -> None:
    """The same rows, ids included."""
    tell(ledger)
    assert models.catch_up()
    before = rows_of(models)
    models.close()
    delete_database(models_path)
    again = open_models()
    assert again.catch_up()
    assert rows_of(again) == before == folded_in_memory(ledger)


def test_an_older_copy_of_the_file_catches_up(
    ledger: Ledger, open_models: OpenReadModels, models_path: Path, tmp_path: Path
) -> None:
    """A restored database is only behind: nothing is discarded."""
    tell(ledger)
    first = open_models()
    assert first.catch_up()
    first.close()
    copy = shutil.copy(models_path, tmp_path / "copy")
    ledger.append(CONTEXT, *births_aside(9))
    second = open_models()
    assert second.catch_up()
    second.close()
    delete_database(models_path)
    shutil.copy(copy, models_path)
    third = open_models()
    assert third.catch_up()
    assert rows_of(third) == folded_in_memory(ledger)
    assert taken_heals(third) == []


def test_rows_of_another_ledger_are_replaced(
    ledger: Ledger,
    open_ledger: OpenLedger,
    open_models: OpenReadModels,
    tmp_path: Path,
) -> None:
    """The file belongs to another installation, with as many events as ours."""
    other = open_ledger(tmp_path / "other.sqlite")
    tell(other, seed=7)
    tell(ledger, seed=8)
    foreign = open_models(of=other)
    assert foreign.catch_up()
    foreign.close()
    assert_heals(ledger, open_models(), f"belonged to ledger {other.meta.ledger_id}", NAMES)


def test_rows_of_another_history_of_the_same_ledger_are_replaced(
    ledger: Ledger, ledger_path: Path, open_ledger: OpenLedger, open_models: OpenReadModels
) -> None:
    """The ledger was set back to an older copy, and went on from there."""
    tell(ledger, seed=1, count=20)
    ledger.close()
    copy = shutil.copy(ledger_path, ledger_path.with_name("copy"))
    first = open_ledger()
    first.append(CONTEXT, *births_aside(11))
    models = open_models(of=first)
    assert models.catch_up()
    models.close()
    first.close()
    delete_database(ledger_path)
    shutil.copy(copy, ledger_path)
    second = open_ledger()
    beyond = open_models(of=second)
    assert_heals(second, beyond, "beyond the ledger's end", NAMES)
    ahead = open_models(of=second)
    second.append(CONTEXT, *births_aside(12))
    assert ahead.catch_up()
    assert taken_heals(ahead) == []
    assert rows_of(ahead) == folded_in_memory(second)


def test_rows_of_another_history_of_the_same_length_are_replaced(
    ledger: Ledger, ledger_path: Path, open_ledger: OpenLedger, open_models: OpenReadModels
) -> None:
    """Only the leaf hash at their position tells."""
    tell(ledger, seed=1, count=20)
    ledger.close()
    copy = shutil.copy(ledger_path, ledger_path.with_name("copy"))
    first = open_ledger()
    first.append(CONTEXT, *births_aside(11))
    models = open_models(of=first)
    assert models.catch_up()
    models.close()
    first.close()
    delete_database(ledger_path)
    shutil.copy(copy, ledger_path)
    second = open_ledger()
    second.append(CONTEXT, *births_aside(12))
    assert_heals(second, open_models(of=second), "another history", NAMES)
