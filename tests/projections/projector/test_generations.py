"""A read model whose version changed: built beside the old one, and refused by older software."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, text

from ledger.append.ledger import Ledger
from projections.errors import NoSuchGeneration, ProjectionsTooNew
from projections.projector.generations import KEPT
from projections.projector.read_models import ReadModels
from projections.tables import registry as catalog
from projections.tables.backup_runs import BackupRuns
from projections.tables.projection import Projection
from tests.projections.conftest import OpenReadModels, edit, labels, rows_of, taken_heals
from tests.projections.stories import births_aside, tell
from tests.sample_events import CONTEXT


class NewerRuns(BackupRuns):
    """The next version of a read model: it has one column more."""

    version = 2
    metadata = MetaData()
    table = BackupRuns.table.to_metadata(metadata)
    table.append_column(Column("bytes_per_second", Integer))

    def values_of(self, state: object) -> list[object]:
        return [getattr(state, name, 7) for name in self.columns]

    def from_row(self, row: dict[str, object]) -> object:  # type: ignore[override]
        del row["bytes_per_second"]
        return self.state_class(**row)  # type: ignore[arg-type]


def newer_projections() -> tuple[Projection, ...]:
    return tuple(
        NewerRuns() if each.name == "backup_runs" else each for each in catalog.all_projections()
    )


@pytest.fixture
def newer(
    ledger: Ledger, models_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ReadModels]:
    """The same file, opened by software with a newer version of one read model."""
    opened = ReadModels.at(
        sqlite_url(models_path), ledger, is_applications=False, projections=newer_projections()
    )
    yield opened
    opened.close()


def sqlite_url(path: Path) -> object:
    from sqlalchemy.engine import make_url  # noqa: PLC0415

    return make_url(f"sqlite:///{path}")


def test_a_newer_version_is_built_on_the_first_start(
    ledger: Ledger, models: ReadModels, newer: ReadModels, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so; the others are left alone; the older one is kept."""
    tell(ledger)
    models.catch_up()
    assert newer.catch_up()
    assert "building backup_runs@2" in caplog.text
    (healed,) = taken_heals(newer)
    assert (healed.name, healed.version) == ("backup_runs", 2)
    assert healed.reason == "version 1 was replaced by 2"
    with newer.engine.connect() as connection:
        found = connection.execute(text("SELECT DISTINCT bytes_per_second FROM backup_runs"))
        assert found.scalars().all() == [7]
    assert labels(newer) == [("backup_runs@1", KEPT)]
    assert taken_heals(newer) == []


def test_older_software_refuses_a_newer_version_and_can_go_back(
    ledger: Ledger, models: ReadModels, newer: ReadModels
) -> None:
    """With one command of its own; then it is served as before."""
    tell(ledger)
    models.catch_up()
    before = rows_of(models)
    newer.catch_up()
    ledger.append(CONTEXT, *births_aside(1))
    with pytest.raises(ProjectionsTooNew, match="version 2, this software knows 1"):
        models.catch_up()
    models.roll_back("backup_runs")
    assert models.catch_up()
    assert rows_of(models)["backup_runs"] == before["backup_runs"]
    assert labels(models) == [("backup_runs@2", KEPT)]


def test_newer_software_does_not_go_back_to_what_it_cannot_fold(
    ledger: Ledger, models: ReadModels, newer: ReadModels
) -> None:
    tell(ledger)
    models.catch_up()
    newer.catch_up()
    with pytest.raises(NoSuchGeneration, match="backup_runs@1 is kept"):
        newer.roll_back("backup_runs")


def test_the_tables_of_newer_software_are_refused(
    ledger: Ledger, models: ReadModels, open_models: OpenReadModels, models_path: Path
) -> None:
    """As a whole, by the version they are stamped with."""
    tell(ledger)
    models.catch_up()
    edit(models_path, "UPDATE ledger_projection_meta SET schema_version = 99")
    with pytest.raises(ProjectionsTooNew, match="schema version 99"):
        open_models().catch_up()
