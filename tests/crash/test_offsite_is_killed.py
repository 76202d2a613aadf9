"""A copy that is killed at any step: what counts restores, nothing is left half done."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from commands.offsite import copy as copying
from commands.offsite.copy_all import copy_missing
from commands.offsite.destinations import find_destination
from commands.offsite.recover import recover_ledger
from ledger.vocabulary import CopyStatus
from projections.queries.locked import open_copies
from projections.queries.offsite import copies_at
from tests.commands.invariants import require_whole
from tests.commands.offsite.repositories import IDENTITY, fetched_digest
from tests.crash.aftermath import Forker, killed_at_steps
from tests.crash.collected import require_collected
from tests.crash.forking import Job, clock_after, recover_everything, world_of
from tests.crash.offsite import (
    OFFSITE_COLLECT,
    OFFSITE_COPY,
    copy_in_this_process,
    store_of,
    with_key,
)
from tests.faults.cutting import calls_of_story
from tests.faults.power_cut import lose_what_was_not_flushed

DESIGNED = [
    "before commit of backup_offsite.copy_started",
    "after commit of backup_offsite.copy_started",
    "after rename",
    "before commit of backup_offsite.copy_completed",
    "after commit of backup_offsite.copy_completed",
]

DESIGNED_COLLECT = [
    "after commit of backup_offsite.collect_started",
    "before commit of backup_offsite.packs_condemned",
    "after commit of backup_offsite.packs_condemned",
    "after unlink",
    "after commit of backup_offsite.copy_deleted",
    "after commit of backup_offsite.packs_deletion_started",
    "before commit of backup_offsite.packs_deleted",
    "after commit of backup_offsite.packs_deleted",
    "after commit of backup_offsite.collect_completed",
]
CUTS = 4


def require_copied(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process looks around, copies what is missing, and everything is as it should be."""
    monkeypatch.setattr(copying, "run_copy", copy_in_this_process)
    world = with_key(world_of(job, clock_after(job)))
    try:
        recover_everything(world)
        site = world.site
        with site.ledger.engine.connect() as connection:
            assert open_copies(connection) == []
        outcomes = copy_missing(site, world.context())
        assert [each.error for each in outcomes if each.error] == []
        nas = find_destination(site, "nas")
        with site.read_models.reading() as connection:
            copies = copies_at(connection, nas.repository_id, (CopyStatus.OK,))
        assert sorted(each.filename for each in copies) == ["first.db", "second.db"]
        for copy in copies:
            path = Path(job.folder) / "fetched"
            assert fetched_digest(store_of(world), copy, path) == copy.sha256
        named = {f"copies/{each.copy_id}{end}" for each in copies for end in ("", ".packs")}
        assert {each.path for each in store_of(world).list("copies/")} == named
        size = site.ledger.log_recorder.head().size
        assert store_of(world).head(f"ledger/checkpoints/{size}")
        require_whole(site)
        into = Path(job.folder) / "recovered"
        found = recover_ledger(nas.url, into, identities=[IDENTITY])
        assert found.size == size
    finally:
        world.close()


def test_steps_of_a_collect_include_those_of_the_design(forker: Forker, tmp_path: Path) -> None:
    """Each announcement before its deletion, and each deletion before it is said."""
    job = Job(str(tmp_path), OFFSITE_COLLECT)
    assert not forker.is_killed(job)
    labels = job.labels.read_text().splitlines()
    places = [labels.index(each) for each in DESIGNED_COLLECT]
    assert places == sorted(places)


def test_a_collect_killed_at_any_step_is_finished_by_the_next_one(
    forker: Forker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _, job in killed_at_steps(forker, tmp_path, OFFSITE_COLLECT):
        require_collected(job, monkeypatch)


@pytest.mark.parametrize("story", [OFFSITE_COPY, OFFSITE_COLLECT])
def test_what_was_not_flushed_when_the_power_went_loses_no_copy_that_counts(
    forker: Forker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: str
) -> None:
    """On a mounted disk, as whoever pulls its plug leaves it."""
    require = require_copied if story == OFFSITE_COPY else require_collected
    calls = calls_of_story(forker, tmp_path / "whole", story)
    step = -(-calls // CUTS)
    for at in range(1 + calls % step, calls + 1, step):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        job = Job(str(folder), story, cut_at=at)
        forker.is_killed(job)
        lose_what_was_not_flushed(folder, Random(at))
        require(job, monkeypatch)


def test_steps_include_those_of_the_design(forker: Forker, tmp_path: Path) -> None:
    """The claim, the objects, the commit point."""
    job = Job(str(tmp_path), OFFSITE_COPY)
    assert not forker.is_killed(job)
    labels = job.labels.read_text().splitlines()
    assert [each for each in DESIGNED if each not in labels] == []


def test_a_copy_killed_at_any_step_is_made_again_or_counts(
    forker: Forker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the ledger is published after it."""
    for _, job in killed_at_steps(forker, tmp_path, OFFSITE_COPY):
        require_copied(job, monkeypatch)
