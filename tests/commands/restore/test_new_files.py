"""A file that takes the database's place, and what restores leave beside it."""

from __future__ import annotations

import os
import shutil
from uuid import uuid4

import pytest

from commands.backups.take import take_backup
from commands.health.facts import status_facts
from commands.recovery.recover import recover
from commands.restore.restore import STAGED_PREFIX, restore_backup
from commands.site.configuration import Configuration
from commands.site.opening import begin
from commands.sqlite.permissions import journal_mode
from ledger.append.database import place_of
from ledger.append.ledger import Draft
from ledger.events.restoring import RestoreCompleted, RestoreInterrupted, RestoreStarted
from ledger.vocabulary import restore_stream
from tests.commands.world import World, break_database, mode_of, titles_in


@pytest.fixture
def one(world: World) -> World:
    world.open()
    take_backup(world.site, world.context(), filename="one")
    return world


def lose(world: World) -> None:
    for suffix in ("", "-wal", "-shm"):
        world.database.with_name(f"app.db{suffix}").unlink(missing_ok=True)


def test_missing_database_comes_back_as_its_folder_says(one: World) -> None:
    """Nothing is left of it: private, unless the group may write in the folder."""
    lose(one)
    one.folder.chmod(0o770)
    outcome = restore_backup(one.site, one.context(), "one.db")
    assert len(titles_in(one.database)) == 20
    assert mode_of(one.database) == 0o660
    assert outcome.arrived is not None
    assert outcome.arrived.belongings.because == "its folder"
    assert outcome.arrived.journal_mode == "delete"


def test_missing_database_keeps_its_log_where_one_was_left(one: World) -> None:
    """The application kept a write-ahead log, and goes on to."""
    lose(one)
    (one.folder / "app.db-wal").write_bytes(b"left behind")
    (one.folder / "app.db-wal").chmod(0o660)
    outcome = restore_backup(one.site, one.context(), "one.db")
    assert outcome.arrived is not None
    assert outcome.arrived.journal_mode == "wal"
    assert (mode_of(one.database), journal_mode(one.database)) == (0o660, "wal")
    assert len(titles_in(one.database)) == 20


@pytest.mark.slow
def test_damaged_database_gives_its_mode_to_the_new_file(one: World) -> None:
    """And a transaction makes no new file."""
    assert restore_backup(one.site, one.context(), "one.db").arrived is None
    break_database(one.database)
    one.database.chmod(0o664)
    restore_backup(one.site, one.context(), "one.db")
    assert mode_of(one.database) == 0o664


def started(world: World) -> RestoreStarted:
    (backup,) = [each for each in world.present() if each.filename == "one.db"]
    return RestoreStarted(
        backup_id=backup.backup_id,
        pre_restore_backup_id=None,
        mode="replace",
        target=str(world.database),
        tables=None,
        sha256=backup.sha256,
        forced=False,
        owner="another-machine-1-abcd",
        target_schema_version=None,
        target_sha256=None,
    )


def left_behind(world: World, restore_id: str) -> None:
    (world.folder / f"{STAGED_PREFIX}{restore_id}").write_bytes(b"a staged file")


def is_left(world: World, restore_id: str) -> bool:
    return (world.folder / f"{STAGED_PREFIX}{restore_id}").exists()


def test_files_of_restores_that_are_over_are_removed(one: World) -> None:
    """Whoever recorded the outcome could not reach them; what a person has to look at stays."""
    begun = started(one)
    facts = begun.model_dump(exclude={"owner", "target_schema_version", "target_sha256", "tables"})
    outcomes = {
        "completed": RestoreCompleted(**facts),
        "old": RestoreInterrupted(**facts, outcome="old"),
        "unknown": RestoreInterrupted(**facts, outcome="unknown"),
    }
    ids = {name: str(uuid4()) for name in [*outcomes, "not ours"]}
    for name, details in outcomes.items():
        stream = restore_stream(ids[name])
        message = None if details.success else "it was interrupted"
        drafts = (Draft(stream, begun), Draft(stream, details, error_message=message))
        one.site.ledger.append(one.context(), *drafts)
    for restore_id in ids.values():
        left_behind(one, restore_id)
    recover(one.site)
    assert {name for name, each in ids.items() if is_left(one, each)} == {"unknown", "not ours"}
    said = " ".join(status_facts(one.site, one.clock.now())["warnings"])
    assert ids["not ours"] in said
    assert ids["unknown"] in said


def test_restore_of_another_folder_is_left_to_whoever_has_it(one: World) -> None:
    """One ledger, two machines: a lock that is not here does not say that its owner is dead."""
    site = one.site
    elsewhere = {
        "database": one.folder / "other" / "app.db",
        "backups": one.folder / "other" / "backups",
        "ledger": place_of(site.configuration.ledger_url),
        "projections": str(one.folder / "other" / "projections.sqlite"),
    }
    (one.folder / "other").mkdir()
    shutil.copy(one.database, one.folder / "other" / "app.db")
    begin(Configuration(**one.options | elsewhere), one.clock, new=True)
    restore_id = str(uuid4())
    site.ledger.append(one.context(), Draft(restore_stream(restore_id), started(one)))
    other = one.open("act", **one.options | elsewhere)
    assert recover(other).restores == []
    assert recover(site).restores == [restore_id]
    assert os.path.exists(one.database)
