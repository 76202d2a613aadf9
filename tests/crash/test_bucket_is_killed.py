"""A collect in a bucket that is killed where its design says: the next one finishes it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.offsite import copy as copying
from commands.offsite.destinations import find_destination, open_session
from commands.offsite.repository.layout import pack_list_path, pack_path
from commands.offsite.repository.packs import decode_pack_list
from commands.offsite.verify import verify_copies
from projections.queries.offsite import copies_at
from tests.commands.invariants import require_whole
from tests.commands.offsite.buckets import s3_server
from tests.commands.offsite.repositories import IDENTITY
from tests.crash.aftermath import Forker
from tests.crash.forking import Job, clock_after, recover_everything, world_of
from tests.crash.offsite import (
    BUCKET_COLLECT,
    SERVER,
    collect_now,
    copy_in_this_process,
    in_bucket,
    with_key,
)

pytestmark = pytest.mark.slow
KILLS = [
    "after commit of backup_offsite.collect_started",
    "after commit of backup_offsite.packs_condemned",
    "before commit of backup_offsite.copy_deleted",
    "after commit of backup_offsite.packs_deletion_started",
    "before commit of backup_offsite.packs_deleted",
    "before commit of backup_offsite.collect_completed",
]


@pytest.fixture(scope="module")
def bucket_forker() -> Iterator[Forker]:
    """Its processes know where the server is."""
    with s3_server() as url, Forker({**os.environ, SERVER: url}) as started:
        yield started


def require_collected(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "run_copy", copy_in_this_process)
    world = with_key(in_bucket(world_of(job, clock_after(job))))
    try:
        recover_everything(world)
        for _ in range(2):
            collect_now(world)
            world.advance(hours=25)
        site = world.site
        nas = find_destination(site, "nas")
        assert (nas.collect_id, nas.condemned) == (None, {})
        with site.read_models.reading() as connection:
            copies = copies_at(connection, nas.repository_id)
        assert [each.status for each in copies] == [*["deleted"] * 4, "ok"]
        store = open_session(site, nas)
        list_path = pack_list_path(copies[-1].copy_id)
        named = decode_pack_list(store.get(list_path), list_path)
        there = {each.path for each in store.list("packs/")}
        assert there == {pack_path(each.name) for each in named}
        assert len(list(store.list("copies/"))) == 2
        checked = verify_copies(site, world.context(), nas, "integrity", identities=[IDENTITY])
        assert [each.problem for each in checked] == [None]
        require_whole(site)
    finally:
        world.close()


def test_a_collect_in_a_bucket_that_is_killed_is_finished_by_the_next_one(
    bucket_forker: Forker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    job = Job(str(whole), BUCKET_COLLECT)
    assert not bucket_forker.is_killed(job)
    labels = job.labels.read_text().splitlines()
    for number, label in enumerate(KILLS):
        place = tmp_path / f"{number}"
        place.mkdir()
        killed = Job(str(place), BUCKET_COLLECT, kill_at=labels.index(label) + 1)
        assert bucket_forker.is_killed(killed), label
        require_collected(killed, monkeypatch)
