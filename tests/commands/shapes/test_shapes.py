"""Each thing that is shown to programs has one model, and the keys that it always had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from commands.backups.delete import Deletion
from commands.backups.unrecorded import unrecorded_file
from commands.reporting.json_values import as_json
from commands.restore.plan import plan_restore
from commands.retention.apply import preview_retention
from commands.shapes.backups import BackupMetadataResponse, BackupShape
from commands.shapes.restore import PlanShape
from commands.shapes.retention import (
    DeletedBackups,
    RetentionPlanShape,
    RetentionShape,
    RetentionSummary,
)
from commands.shapes.runs import RunShape
from commands.shapes.settings import BackupSettings, ListedSettings
from commands.shapes.shape import Shape
from commands.shapes.verification import VerificationShape
from commands.verification.verify import verify_backup
from projections.queries.schedules import runs_page
from projections.tables.columns import backup_catalog, backup_runs, backup_settings
from tests.commands.world import World

GOLDEN = Path(__file__).parents[2] / "golden" / "shapes.json"
"""The keys of each shape, in order, as programs read them: added to, never taken from."""


def keys_of(value: Any) -> Any:
    """The names in a document, a list by its first element."""
    if isinstance(value, dict):
        return {name: keys_of(each) for name, each in value.items()}
    if isinstance(value, list):
        return [keys_of(each) for each in value[:1]]
    return None


@pytest.fixture
def shown(world: World) -> dict[str, Shape]:
    """One of each, of things that happened."""
    world.configure(1, keep_count=1)
    for _ in range(2):
        world.due_again()
        assert world.check().completed == 1
    site, context = world.site, world.context()
    (world.backups / "copied.db").write_bytes(world.database.read_bytes())
    backup = world.present()[0]
    file = unrecorded_file(site, "copied.db")
    assert file is not None
    with site.read_models.reading() as connection:
        runs, _ = runs_page(connection, None, None, before=None, limit=1)
    outcome = preview_retention(site, context, 1, 1)
    going = [Deletion(backup, "retention", rule="keep 1")]
    return {
        "settings": BackupSettings.of(world.schedule()),
        "listed settings": ListedSettings.among(world.schedule(), set()),
        "backup": BackupShape.of(site, backup),
        "unrecorded backup": BackupShape.of_unrecorded(file),
        "backup as the former service had it": BackupMetadataResponse.of(backup, site.store),
        "run": RunShape.of(runs[0]),
        "verification": VerificationShape.of(verify_backup(site, context, backup, "exists")),
        "restore plan": PlanShape.of(plan_restore(site, backup.filename)),
        "retention over HTTP": RetentionPlanShape.of(outcome),
        "retention on the command line": RetentionShape.of(outcome, going),
        "deleted on the command line": DeletedBackups.of(going),
        "retention summary": RetentionSummary.of(outcome),
    }


def test_no_key_of_a_shape_changes_or_moves(shown: dict[str, Shape]) -> None:
    """A program that reads one goes on reading it."""
    found = {name: keys_of(as_json(each)) for name, each in shown.items()}
    golden = json.loads(GOLDEN.read_text("utf-8"))
    assert json.dumps(found, indent=1) == json.dumps(golden, indent=1)


def test_what_a_table_has_is_shown() -> None:
    """A new column of a read model is a new field of its shape."""
    for shape, table, more in (
        (BackupSettings, backup_settings, []),
        (BackupShape, backup_catalog, ["filepath"]),
        (RunShape, backup_runs, []),
    ):
        assert [*shape.model_fields] == [column.name for column in table.columns] + more


def test_a_backup_in_another_store_has_no_path(world: World) -> None:
    """Its file is not in this folder, whatever its name."""
    world.configure(1)
    world.due_again()
    world.check()
    backup = world.present()[0]
    here = BackupShape.of(world.site, backup)
    assert here.filepath == str(world.backups / backup.filename)
    backup.store = "00000000-0000-0000-0000-000000000000"
    assert BackupShape.of(world.site, backup).filepath is None


def test_times_and_bytes_are_as_in_records(world: World) -> None:
    """Six digits and a Z; bytes in hex; keys and paths as text."""
    now = world.clock.now()
    value = {1: now, "path": world.folder, "bytes": b"\x01\xff", "many": (now, None, True)}
    written = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert as_json(value) == {
        "1": written,
        "path": str(world.folder),
        "bytes": "01ff",
        "many": [written, None, True],
    }
