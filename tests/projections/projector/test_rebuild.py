"""Read models are built beside the ones that serve, and take over whole."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from threading import Event, Thread

import pytest

from ledger.append.ledger import Ledger
from ledger.errors import LedgerBusy
from ledger.events.scheduling import SettingsCreated
from projections.errors import NoSuchGeneration, UnreadableEvent
from projections.projector import projector
from projections.projector.generations import BUILDING, KEPT, read_generations
from projections.projector.read_models import ReadModels
from projections.projector.rebuild import Rebuild
from projections.tables import registry as catalog
from projections.tables.backup_settings import BackupSettings
from tests.projections.conftest import (
    OpenReadModels,
    edit,
    folded_in_memory,
    labels,
    rows_of,
    taken_heals,
)
from tests.projections.stories import births_aside, tell
from tests.sample_events import CONTEXT, draft

NAMES = [
    "backup_settings",
    "backup_catalog",
    "backup_runs",
    "offsite_destinations",
    "offsite_copies",
    "audit_trail",
]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> int:
    """So that a short story has many moments in between."""
    monkeypatch.setattr("projections.projector.projector.BATCH_EVENTS", 7)
    monkeypatch.setattr("projections.projector.rebuild.BATCH_EVENTS", 7)
    return 7


def begun(models: ReadModels, ledger: Ledger, *names: str) -> Rebuild:
    chosen = [each for each in catalog.all_projections() if each.name in names]
    rebuild = Rebuild(models.engine, ledger, chosen, models._writing)
    rebuild.begin()
    return rebuild


@pytest.mark.slow
def test_readers_keep_the_old_rows_until_the_new_ones_take_over(
    ledger: Ledger, models: ReadModels, models_path: Path, small_batches: int
) -> None:
    """A row that was edited stays as it is to the last moment, then all of them change at once."""
    tell(ledger)
    models.catch_up()
    edit(models_path, "UPDATE backup_settings SET keep_count = 29")
    rebuild = begun(models, ledger, "backup_settings")
    before = rows_of(models)
    while rebuild.advance():
        assert rows_of(models) == before
    rebuild.add_indexes()
    assert rows_of(models) == before
    rebuild.take_over({})
    assert rows_of(models) == folded_in_memory(ledger)


@pytest.mark.slow
def test_commands_go_on_while_it_is_built(
    ledger: Ledger, models: ReadModels, small_batches: int
) -> None:
    """What is appended meanwhile stands in both, the one that serves and the one that comes."""
    tell(ledger)
    models.catch_up()
    rebuild = begun(models, ledger, *NAMES)
    rebuild.advance()
    ledger.append(CONTEXT, *births_aside(3))
    models.catch_up()
    assert rows_of(models) == folded_in_memory(ledger)
    while rebuild.advance():
        pass
    ledger.append(CONTEXT, *births_aside(5))
    rebuild.add_indexes()
    rebuild.take_over({})
    assert rows_of(models) == folded_in_memory(ledger)


@pytest.mark.slow
def test_it_goes_on_where_it_was_cut_short(
    ledger: Ledger, models: ReadModels, open_models: OpenReadModels, small_batches: int
) -> None:
    """Another process finds the position beside the rows."""
    end = tell(ledger)
    models.catch_up()
    rebuild = begun(models, ledger, *NAMES)
    rebuild.advance()
    rebuild.advance()
    assert rebuild.position == 2 * small_batches
    other = open_models()
    told: list[int] = []
    other.rebuild(None, lambda done, _total: told.append(done))
    assert told[0] == 3 * small_batches
    assert told[-1] == end
    assert rows_of(other) == folded_in_memory(ledger)


@pytest.mark.slow
def test_two_processes_build_one_together(
    ledger: Ledger, models: ReadModels, open_models: OpenReadModels, small_batches: int
) -> None:
    """A batch that another folded is not folded twice."""
    tell(ledger)
    models.catch_up()
    first = begun(models, ledger, *NAMES)
    second = begun(open_models(), ledger, *NAMES)
    while first.advance() or second.advance():
        second.advance()
    first.add_indexes()
    second.add_indexes()
    first.take_over({})
    with pytest.raises(NoSuchGeneration, match="another process finished"):
        second.take_over({})
    assert rows_of(models) == folded_in_memory(ledger)


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoiling",
    [
        "DELETE FROM ledger_projection_backup_runs_building",
        "DROP TABLE ledger_projection_backup_runs_building",
        "UPDATE ledger_projection_generations SET leaf_hash = x'00'",
        "UPDATE ledger_projection_generations SET ledger_id = 'another'",
        "UPDATE ledger_projection_generations SET version = 9",
        "UPDATE ledger_projection_generations SET position = 999999",
    ],
)
def test_what_was_spoilt_meanwhile_is_begun_anew(
    ledger: Ledger, models: ReadModels, models_path: Path, spoiling: str, small_batches: int
) -> None:
    """Rows of another history, version or origin are not gone on with."""
    tell(ledger)
    models.catch_up()
    rebuild = begun(models, ledger, "backup_runs")
    while rebuild.advance():
        pass
    edit(models_path, spoiling)
    models.rebuild("backup_runs")
    assert rows_of(models) == folded_in_memory(ledger)


def test_the_old_one_is_kept_and_can_serve_again(
    ledger: Ledger, models: ReadModels, models_path: Path
) -> None:
    """Rolled back, it is brought along from where it stood; and forth again."""
    tell(ledger)
    models.catch_up()
    edit(models_path, "UPDATE backup_settings SET keep_count = 29")
    edited = rows_of(models)
    models.rebuild("backup_settings")
    assert labels(models) == [(f"backup_settings@{BackupSettings.version}", KEPT)]
    models.roll_back("backup_settings")
    assert rows_of(models) == edited
    ledger.append(CONTEXT, draft(SettingsCreated, "schedule/77"))
    assert models.catch_up()
    assert len(rows_of(models)["backup_settings"]) > len(edited["backup_settings"])
    models.roll_back("backup_settings")
    models.catch_up()
    assert rows_of(models) == folded_in_memory(ledger)
    assert taken_heals(models) == []


def test_a_kept_one_goes_when_it_is_dropped(ledger: Ledger, models: ReadModels) -> None:
    """By hand, by its name; the one that serves is refused, and so is what is not there."""
    tell(ledger)
    models.rebuild(None)
    assert labels(models) == [
        (f"{each.name}@{each.version}", KEPT)
        for each in sorted(catalog.all_projections(), key=lambda each: each.name)
    ]
    models.drop("audit_trail@2")
    assert ("audit_trail@2", KEPT) not in labels(models)
    with pytest.raises(NoSuchGeneration, match="is in use, and cannot be dropped"):
        models.drop("audit_trail@2")
    for label in ("audit_trail@1", "audit_trail", "nothing@1", "@", ""):
        with pytest.raises(NoSuchGeneration, match="not there"):
            models.drop(label)
    with pytest.raises(NoSuchGeneration, match="no earlier generation of audit_trail"):
        models.roll_back("audit_trail")


def test_one_that_is_being_built_can_be_dropped(ledger: Ledger, models: ReadModels) -> None:
    """Whoever builds it is told."""
    tell(ledger)
    models.catch_up()
    rebuild = begun(models, ledger, "backup_runs")
    assert labels(models) == [("backup_runs@1", BUILDING)]
    models.drop("backup_runs@1")
    with pytest.raises(NoSuchGeneration, match="no longer being built"):
        rebuild.advance()


@pytest.mark.slow
def test_indexes_and_keys_are_the_same_afterwards(
    ledger: Ledger, models: ReadModels, models_path: Path
) -> None:
    """Or questions would slow down, and rows could come twice."""

    def shape() -> list[list[tuple[object, ...]]]:
        with sqlite3.connect(models_path) as connection:
            found = [
                sorted(
                    (
                        bool(unique),
                        origin,
                        *(row[2] for row in connection.execute(f"PRAGMA index_info({index})")),
                    )
                    for _, index, unique, origin, _ in connection.execute(
                        f"PRAGMA index_list({name})"
                    )
                )
                for name in NAMES
            ]
        connection.close()
        return found

    tell(ledger)
    models.catch_up()
    before = shape()
    for _round in range(3):
        models.rebuild(None)
        assert shape() == before


@pytest.mark.slow
def test_a_rebuild_of_a_database_in_use_waits_and_goes_on_later(
    ledger: Ledger, open_models: OpenReadModels, tmp_path: Path, small_batches: int
) -> None:
    """The application holds its lock: a clear error, nothing lost, and the next try continues."""
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as app:
        app.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
    tell(ledger)
    models = open_models(path, is_applications=True)
    models.catch_up()
    rebuild = begun(models, ledger, *NAMES)
    rebuild.advance()
    app.isolation_level = None
    app.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerBusy):
        models.rebuild(None)
    assert rebuild.position == small_batches
    app.execute("COMMIT")
    app.close()
    told: list[int] = []
    models.rebuild(None, lambda done, _total: told.append(done))
    assert told[0] == 2 * small_batches
    assert rows_of(models) == folded_in_memory(ledger)


def test_the_applications_views_and_triggers_stay_with_the_table(
    ledger: Ledger, open_models: OpenReadModels, tmp_path: Path
) -> None:
    """They name the table that serves, whichever rows are in it."""
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as app:
        app.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
    tell(ledger)
    models = open_models(path, is_applications=True)
    models.catch_up()
    app.execute("CREATE VIEW keeps AS SELECT sum(keep_count) FROM backup_settings")
    app.execute("CREATE TABLE seen (user_id)")
    app.execute(
        "CREATE TRIGGER watch AFTER UPDATE ON backup_settings "
        "BEGIN INSERT INTO seen VALUES (NEW.user_id); END"
    )
    app.commit()
    models.rebuild("backup_settings")
    app.execute("UPDATE backup_settings SET keep_count = 29")
    app.commit()
    number = len(rows_of(models)["backup_settings"])
    assert app.execute("SELECT * FROM keeps").fetchone() == (29 * number,)
    assert app.execute("SELECT count(*) FROM seen").fetchone() == (number,)
    foreign_keys = app.execute("PRAGMA foreign_key_list(backup_settings)").fetchall()
    assert [each[2] for each in foreign_keys] == ["users"]
    app.close()


@pytest.mark.slow
def test_a_reader_sees_the_old_or_the_new_and_nothing_between(
    ledger: Ledger, models: ReadModels, models_path: Path
) -> None:
    """While one read model takes over from another again and again."""
    tell(ledger)
    models.catch_up()
    expected = len(rows_of(models)["audit_trail"])
    stop, seen = Event(), set()

    def read() -> None:
        connection = sqlite3.connect(models_path, timeout=10)
        while not stop.is_set():
            seen.add(connection.execute("SELECT count(*) FROM audit_trail").fetchone()[0])
        connection.close()

    thread = Thread(target=read)
    thread.start()
    try:
        for _round in range(10):
            models.rebuild("audit_trail")
    finally:
        stop.set()
        thread.join()
    assert seen == {expected}


@pytest.mark.slow
def test_an_event_that_cannot_be_read_leaves_the_old_one_serving(
    ledger: Ledger, models: ReadModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its position and the reason are kept beside what was built so far."""
    tell(ledger)
    models.catch_up()
    before = rows_of(models)
    spoilt = next(row for row in ledger.records() if row.position == 5)

    def read(record: bytes) -> object:
        if record == spoilt.record:
            raise projector.RecordError("its ink has faded")
        return decode(record)

    decode = projector.decode_event
    monkeypatch.setattr(projector, "decode_event", read)
    with pytest.raises(UnreadableEvent, match=r"position 5 .* its ink has faded"):
        models.rebuild(None)
    assert rows_of(models) == before
    with models.engine.connect() as connection:
        problems = [each.problem for each in read_generations(connection)]
    assert all("position 5" in str(each) for each in problems)
    monkeypatch.undo()
    models.rebuild(None)
    assert rows_of(models) == before


def test_each_record_is_read_once_for_all(ledger: Ledger, models: ReadModels) -> None:
    """Decoding is what a rebuild takes longest for."""
    tell(ledger)
    read: list[int] = []

    def counted(of: Ledger, after: int, up_to: int) -> object:
        batch = projector.read_batch(of, after, up_to)
        read.extend(each.position for each in batch[0])
        return batch

    models.catch_up()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("projections.projector.rebuild.read_batch", counted)
        models.rebuild(None)
    assert len(read) == len(set(read)) == ledger.log_recorder.head().size
