"""A collect in a bucket that is killed where its design says: the next one finishes it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.offsite.buckets import s3_server
from tests.crash.aftermath import Forker, killed_at_steps
from tests.crash.collected import require_collected
from tests.crash.offsite import (
    BUCKET_COLLECT,
    SERVER,
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


def test_a_collect_in_a_bucket_that_is_killed_is_finished_by_the_next_one(
    bucket_forker: Forker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _, job in killed_at_steps(bucket_forker, tmp_path, BUCKET_COLLECT, labels=KILLS):
        require_collected(job, monkeypatch)
