"""A drill whose process is killed."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from commands.backups.take import take_backup
from commands.recovery.recover import recover
from ledger.events.catalog import BackupVerified
from ledger.vocabulary import BackupStatus
from tests.commands.world import World

KILLED = """
import os, signal, sys
from pathlib import Path
from commands.verification import drill as restore_drill
from commands.site.actors import operator
from commands.site.configuration import Configuration
from commands.site.opening import open_site
from commands.verification.verify import verify_backup
from projections.queries.catalog import backups_of_store

site = open_site(Configuration(database=Path(sys.argv[1])), "act")
if sys.argv[2] == "counting":
    restore_drill.inspect = lambda *_given: os.kill(os.getpid(), signal.SIGKILL)
with site.read_models.reading() as connection:
    [backup] = backups_of_store(connection, site.store.store_id)
def die(step, done, total):
    if sys.argv[2] == "copying":
        os.kill(os.getpid(), signal.SIGKILL)
verify_backup(site, site.context(operator()), backup, "drill", on_progress=die)
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["copying", "counting"])
def test_a_killed_drill_leaves_only_what_recovery_removes(world: World, moment: str) -> None:
    """No event, a scratch file of a dead owner; the next start clears it."""
    take_backup(world.site, world.context(), filename="one.db")
    world.close()
    command = [sys.executable, "-c", KILLED, str(world.database), moment]
    ended = subprocess.run(command, check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert len(world.staged()) == 1
    world.open("act")
    assert len(recover(world.site).discarded) == 1
    assert world.staged() == []
    assert world.recorded(BackupVerified) == []
    assert [each.status for each in world.present()] == [BackupStatus.OK]
