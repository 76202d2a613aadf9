"""Rebuilding, versions, and events that no fold can read."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from eventsourcing.persistence import StoredEvent
from sqlalchemy import update

from ledger.append.ledger import Ledger
from ledger.errors import LedgerError
from ledger.events.scheduling import SchedulePaused, SettingsCreated
from projections.errors import ProjectionsTooNew, UnknownProjection, UnreadableEvent
from projections.projector.read_models import ReadModels
from projections.projector.rebuild import Rebuilt
from projections.tables.columns import progress
from projections.tables.registry import all_projections
from tests.projections.conftest import OpenReadModels, folded_in_memory, rows_of, taken_heals
from tests.projections.stories import tell
from tests.sample_events import CONTEXT, NEXT, draft


@pytest.mark.slow
@pytest.mark.both_databases
@pytest.mark.parametrize("name", [None, "backup_runs", "audit_trail"])
def test_a_rebuild_gives_the_same_rows(
    ledger: Ledger, models: ReadModels, name: str | None
) -> None:
    """And says which, up to where and how many."""
    end = tell(ledger)
    assert models.catch_up()
    before = rows_of(models)
    told: list[tuple[int, int]] = []
    rebuilt = models.rebuild(name, lambda done, total: told.append((done, total)))
    assert rows_of(models) == before
    chosen = [name] if name else list(before)
    version = {each.name: each.version for each in all_projections()}
    assert rebuilt == [
        Rebuilt(each, version[each], end, len(before[each]), version[each], 0) for each in chosen
    ]
    assert told[-1] == (end, end)
    assert taken_heals(models) == []


def test_a_rebuild_mends_rows_that_were_edited(
    ledger: Ledger, models: ReadModels, models_path: Path
) -> None:
    """What no catch-up can notice."""
    tell(ledger)
    assert models.catch_up()
    with sqlite3.connect(models_path) as connection:
        connection.execute("UPDATE backup_settings SET keep_count = 29")
    connection.close()
    assert rows_of(models) != folded_in_memory(ledger)
    (rebuilt,) = models.rebuild("backup_settings")
    assert rebuilt.differing == len(rows_of(models)["backup_settings"])
    assert rows_of(models) == folded_in_memory(ledger)


@pytest.mark.both_databases
def test_a_rebuild_of_an_empty_ledger_is_empty(models: ReadModels) -> None:
    """Nothing up to position 0."""
    assert models.rebuild("audit_trail") == [Rebuilt("audit_trail", 2, 0, 0, 2, 0)]


@pytest.mark.both_databases
def test_a_read_model_that_does_not_exist_is_named(models: ReadModels) -> None:
    """With those that do."""
    with pytest.raises(UnknownProjection, match=r"'users'.*backup_settings.*audit_trail"):
        models.rebuild("users")


def set_version(models: ReadModels, version: int) -> None:
    runs = progress.c.name == "backup_runs"
    with models.engine.begin() as connection:
        connection.execute(update(progress).where(runs).values(version=version))


@pytest.mark.both_databases
def test_rows_of_newer_software_are_not_touched(
    ledger: Ledger, models: ReadModels, open_models: OpenReadModels
) -> None:
    """An older program must not fold over what it does not understand."""
    tell(ledger)
    assert models.catch_up()
    set_version(models, 9)
    before = rows_of(models)
    for each in (models, open_models()):
        with pytest.raises(ProjectionsTooNew, match="backup_runs has version 9"):
            each.catch_up()
        with pytest.raises(ProjectionsTooNew), each.reading():
            pass
    assert rows_of(models) == before


@pytest.mark.both_databases
def test_rows_of_older_software_are_folded_again(
    ledger: Ledger, models: ReadModels, open_models: OpenReadModels
) -> None:
    """When a program with a newer version starts."""
    tell(ledger)
    assert models.catch_up()
    set_version(models, 0)
    newer = open_models()
    assert newer.catch_up()
    (healed,) = taken_heals(newer)
    assert (healed.name, healed.version) == ("backup_runs", 1)
    assert "version 0" in healed.reason
    assert rows_of(newer) == folded_in_memory(ledger)


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("topic", "record"),
    [
        ("os.system", b'{"event_type":"os.system"}'),
        ("backup_scheduler.stop", b"\xff"),
        ("backup_scheduler.stop", b'{"event_type":"backup_scheduler.stop","schema_version":99}'),
    ],
)
def test_an_unreadable_event_stops_the_fold_and_is_named(
    ledger: Ledger, models: ReadModels, topic: str, record: bytes
) -> None:
    """With its position and type, on disk and in memory; nothing is skipped silently."""
    ledger.append(CONTEXT, draft(SettingsCreated))
    assert models.catch_up()
    before = rows_of(models)
    ledger.log_recorder.insert_events([StoredEvent("scheduler/x", 1, topic, record)])
    ledger.append(CONTEXT, draft(SchedulePaused))
    for each in (models, ReadModels.in_memory(ledger)):
        with pytest.raises(UnreadableEvent, match=rf"position 2 \({topic}\)") as caught:
            each.catch_up()
        assert "\n" not in str(caught.value)
    assert rows_of(models) == before
    with pytest.raises(UnreadableEvent), models.reading():
        pass


@pytest.mark.both_databases
def test_a_time_zone_that_this_machine_does_not_know_is_folded_like_any_other(
    ledger: Ledger, models: ReadModels
) -> None:
    """A newer machine knew it; what the event says of the next run is enough."""
    ledger.append(CONTEXT, draft(SettingsCreated, timezone="Mars/Olympus_Mons"))
    assert models.catch_up()
    (row,) = rows_of(models)["backup_settings"]
    assert (row["timezone"], row["next_backup_at"]) == ("Mars/Olympus_Mons", NEXT)


def test_a_ledger_that_cannot_be_read_is_not_taken_for_a_locked_database(
    ledger: Ledger, models: ReadModels, ledger_path: Path
) -> None:
    """The ledger's own troubles are never answered from old rows."""
    tell(ledger)
    assert models.catch_up()
    with sqlite3.connect(ledger_path) as connection:
        connection.execute("ALTER TABLE ledger_head RENAME TO gone")
    connection.close()
    with pytest.raises(LedgerError, match="no such table"):
        models.catch_up()
    with pytest.raises(LedgerError), models.reading():
        pass
