"""Killed at each step in turn, by SIGKILL, before and after it.

BACKUP_LEDGER_TEST_EVERY=1 takes every step; without it each fourth of a story is tried.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.aftermath import EVERY, Forker, killed_at_steps, require_recovered
from tests.crash.forking import Job
from tests.crash.stories import STORIES, STORIES_OF_DISORDER
from tests.databases import Databases, PostgreSQLDatabases, SQLiteDatabases
from tests.postgresql_server import Server

TRIED_AGAIN = 4
"""After each so many kills another backup is taken, to see that it can be."""
ON_SERVER = ("by hand", "scheduled", "delete", "restore")
COMMITS = {
    "by hand": ["backup_catalog.backup_created"],
    "scheduled": [
        "backup_scheduler.backup_started",
        "backup_catalog.backup_created",
        "backup_catalog.deletion_started",
        "backup_scheduler.backup_completed",
    ],
    "delete": ["backup_catalog.deletion_started", "backup_catalog.backup_deleted"],
    "restore": ["backup_restore.started", "backup_restore.completed"],
    "restore table": ["backup_restore.started", "backup_restore.table_restored"],
    "replace damaged": ["backup_restore.started", "backup_restore.completed"],
}


@pytest.mark.parametrize("story", COMMITS)
def test_steps_include_those_of_the_design(forker: Forker, tmp_path: Path, story: str) -> None:
    """Each append of section 9 is a step before and after its commit, and so is each file."""
    job = Job(str(tmp_path), story)
    assert not forker.is_killed(job)
    labels = job.labels.read_text().splitlines()
    for kind in COMMITS[story]:
        before, after = f"before commit of {kind}", f"after commit of {kind}"
        assert labels.index(before) < labels.index(after)
    changes = {"restore": "page of a restore", "restore table": "after restore_tables"}
    changes |= {"replace damaged": "after replace"}
    assert changes.get(story, "after unlink") in labels


@pytest.mark.parametrize("story", STORIES)
def test_process_killed_at_any_step_leaves_nothing_that_recovery_cannot_finish(
    forker: Forker, tmp_path: Path, story: str
) -> None:
    """All acknowledged events are there, the tree is true, catalog = directory, nothing open."""
    kill_at_steps(forker, tmp_path, story, SQLiteDatabases(), every=EVERY)


@pytest.mark.parametrize("story", ON_SERVER)
def test_process_killed_at_any_step_leaves_nothing_undone_on_a_server(
    forker: Forker, tmp_path: Path, postgresql: Server, story: str
) -> None:
    """The same with ledger and read models in a database that other processes go on using."""
    kill_at_steps(forker, tmp_path, story, PostgreSQLDatabases(postgresql), every=3 * EVERY)


@pytest.mark.both_databases
@pytest.mark.parametrize("story", STORIES_OF_DISORDER)
def test_process_killed_while_clocks_jump_or_another_database_comes(
    forker: Forker, tmp_path: Path, databases: Databases, story: str
) -> None:
    """What is finished is that of one database, and no slot is lost."""
    kill_at_steps(forker, tmp_path, story, databases, every=4 * EVERY)


def kill_at_steps(
    forker: Forker, folder: Path, story: str, databases: Databases, *, every: int
) -> None:
    server = None if databases.name == "sqlite" else databases
    for number, job in killed_at_steps(forker, folder, story, every=every, databases=server):
        require_recovered(job, story, try_again=number % (TRIED_AGAIN * every) < every)
