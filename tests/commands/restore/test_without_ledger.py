"""A restore without the ledger that is killed leaves nothing for a person to remove."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from commands.recovery.recover import recover
from commands.restore.scratch import PREFIX, scratch_folder
from commands.restore.without_ledger import plan_without_ledger, restore_without_ledger
from tests.commands.world import World, break_database, titles_in

KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from commands.restore import without_ledger as module
from commands.site.configuration import Configuration

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

step, database, backup, digest = sys.argv[1:]
setattr(module, step, die)
configuration = Configuration(database=Path(database))
plan = module.plan_without_ledger(configuration, Path(backup), digest, None, force=False)
module.restore_without_ledger(configuration, plan, datetime(2025, 1, 2, tzinfo=UTC))
"""


def left_over(world: World) -> list[str]:
    staging = world.backups / ".staging"
    folders = (world.folder, world.backups, *([staging] if staging.is_dir() else []))
    return [each.name for folder in folders for each in folder.glob(f"{PREFIX}*")]


def killed_at(world: World, step: str) -> tuple[Path, str]:
    """A backup and its digest, after a restore of it into a broken database was killed."""
    (backup,) = world.present()
    path = world.backups / backup.filename
    break_database(world.database)
    argv = [sys.executable, "-c", KILLED, step, world.database, path, backup.sha256]
    assert subprocess.run(argv, check=False).returncode == -signal.SIGKILL
    assert len(left_over(world)) == 1
    return path, str(backup.sha256)


@pytest.fixture
def backed_up(world: World) -> World:
    world.configure(1)
    world.due_again()
    assert world.check().completed == 1
    return world


@pytest.mark.slow
@pytest.mark.parametrize("step", ["publish_new", "replace_target"])
def test_what_a_killed_one_left_is_removed_by_the_next(backed_up: World, step: str) -> None:
    """Beside the database, and among what is staged for the backups folder."""
    path, digest = killed_at(backed_up, step)
    configuration = backed_up.site.configuration
    with scratch_folder(backed_up.folder) as alive:
        plan = plan_without_ledger(configuration, path, digest, None, force=False)
        restore_without_ledger(configuration, plan, backed_up.clock.now())
        assert left_over(backed_up) == [alive.name]
    assert left_over(backed_up) == []
    assert len(titles_in(backed_up.database)) == 20


@pytest.mark.slow
@pytest.mark.parametrize("step", ["publish_new", "replace_target"])
def test_recovery_removes_it_too(backed_up: World, step: str) -> None:
    """Once a ledger is there again; what somebody works in stays."""
    killed_at(backed_up, step)
    with scratch_folder(backed_up.site.store.staging) as alive:
        (name,) = recover(backed_up.site).discarded
        assert name.startswith(PREFIX)
        assert left_over(backed_up) == [alive.name]
