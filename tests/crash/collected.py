"""What must be true once another process has finished a collect that was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.offsite import copy as copying
from commands.offsite.destinations import find_destination, open_session
from commands.offsite.repository.layout import pack_list_path, pack_path
from commands.offsite.repository.packs import decode_pack_list
from projections.queries.offsite import copies_at
from tests.commands.invariants import require_whole
from tests.commands.offsite.repositories import fetched_digest
from tests.crash.forking import Job, clock_after, recover_everything, world_of
from tests.crash.offsite import (
    BUCKET_COLLECT,
    collect_now,
    copy_in_this_process,
    in_bucket,
    with_key,
)


def require_collected(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process collects to the end: what counts restores, and nothing else is left."""
    monkeypatch.setattr(copying, "run_copy", copy_in_this_process)
    world = with_key(world_of(job, clock_after(job)))
    if job.story == BUCKET_COLLECT:
        in_bucket(world)
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
        assert [(each.filename, each.status) for each in copies] == [
            ("first.db", "deleted"),
            ("second.db", "deleted"),
            ("third.db", "deleted"),
            ("fourth.db", "deleted"),
            ("fifth.db", "ok"),
        ]
        store = open_session(site, nas)
        path = Path(job.folder) / "fetched"
        assert fetched_digest(store, copies[-1], path) == copies[-1].sha256
        list_path = pack_list_path(copies[-1].copy_id)
        named = decode_pack_list(store.get(list_path), list_path)
        there = {each.path for each in store.list("packs/")}
        assert there == {pack_path(each.name) for each in named}
        assert len(list(store.list("copies/"))) == 2
        require_whole(site)
    finally:
        world.close()
