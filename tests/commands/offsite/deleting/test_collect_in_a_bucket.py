"""Collecting in S3 buckets: with versions, and with credentials that may not delete."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from commands.offsite import copy as copying
from commands.offsite.add import NewDestination, add_destination
from commands.offsite.change import change_destination
from commands.offsite.copy_all import copy_missing
from commands.offsite.deleting.collect import Collected, collect, is_append_only
from commands.offsite.destinations import find_destination, store_options
from commands.offsite.repository import bucket_store
from commands.offsite.repository.opening import open_store
from commands.offsite.worker.jobs import CopyJob, CopyResult
from commands.offsite.worker.send import make_copy
from ledger.events.offsite_deletion import PacksDeleted
from tests.commands.offsite.buckets import BUCKET, client_of, credentials, options_of, s3_server
from tests.commands.offsite.conftest import IDENTITIES, RECIPIENTS, MakeOffsite, Offsite
from tests.commands.offsite.repositories import nothing
from tests.commands.world import add_case


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def cloud(
    make_offsite: MakeOffsite,
    server: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Offsite:
    """Four copies in a bucket, of which three may go."""
    secrets = tmp_path / "credentials.toml"
    lines = [f'{name} = "{value}"' for name, value in credentials().items()]
    secrets.write_text("\n".join(["[cloud]", *lines]) + "\n")
    secrets.chmod(0o600)
    offsite = make_offsite(offsite_credentials=secrets)
    world = offsite.world
    wanted = NewDestination(
        url=f"s3://{BUCKET}/{request.node.name}",
        name="cloud",
        recipients=RECIPIENTS,
        identities=IDENTITIES,
        options=options_of(server),
        credentials=credentials(),
        settings={"keep": 1},
        stated={"versioned": True},
    )
    add_destination(world.site, world.context(), wanted)

    def here(job: CopyJob, *_: object) -> CopyResult:
        return make_copy(open_store(job.url, job.options), job, nothing)

    monkeypatch.setattr(copying, "run_copy", here)
    for number in range(4):
        add_case(world.database, f"{number}" + "x" * 300)
        offsite.backup(f"{number}")
        outcomes = copy_missing(world.site, world.context())
        assert [each.error for each in outcomes] == [None]
        world.advance(days=1)
    return offsite


def collected(cloud: Offsite) -> Collected:
    world = cloud.world
    return collect(world.site, world.context(), find_destination(world.site, "cloud"))


def keys(server: str, prefix: str) -> set[str]:
    found: dict[str, Any] = client_of(server).list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return {each["Key"] for each in found.get("Contents", [])}


def test_what_goes_is_deleted_and_nothing_else(
    cloud: Offsite, server: str, request: pytest.FixtureRequest
) -> None:
    prefix = f"{request.node.name}/"
    client_of(server).put_object(Bucket=BUCKET, Key=f"{prefix}holiday.jpg", Body=b"not ours")
    before = keys(server, prefix)
    found = collected(cloud)
    assert found.look.foreign == ["holiday.jpg"]
    assert keys(server, prefix) >= before
    cloud.world.advance(hours=25)
    done = collected(cloud)
    assert done.claim is not None
    gone = before - keys(server, prefix)
    assert len(gone) == done.claim.packs_deleted + 2 * done.claim.copies_deleted
    assert done.claim.copies_deleted == 3
    assert f"{prefix}holiday.jpg" not in gone
    assert {each.outcome for each in cloud.world.recorded(PacksDeleted)} == {"hidden"}


def test_a_403_on_delete_leaves_it_to_a_machine_that_may(
    cloud: Offsite, server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = f"{request.node.name}/"
    collected(cloud)
    cloud.world.advance(hours=25)
    before = keys(server, prefix)

    def refused(_store: Any, path: str) -> None:
        raise PermissionError(f"403 Forbidden: {path}")

    with monkeypatch.context() as patched:
        patched.setattr(bucket_store.obstore, "delete", refused)
        done = collected(cloud)
    assert done.claim is not None
    assert done.claim.append_only
    assert keys(server, prefix) == before
    site = cloud.world.site
    assert is_append_only(site, find_destination(site, "cloud"))
    assert collected(cloud).claim is not None
    assert keys(server, prefix) < before


def test_with_a_lock_nothing_goes_before_it_ends(
    cloud: Offsite, server: str, request: pytest.FixtureRequest
) -> None:
    """And each PUT carries its checksum: a bucket with Object Lock takes none without."""
    world, prefix = cloud.world, f"{request.node.name}/"
    site = world.site
    change_destination(site, world.context(), find_destination(site, "cloud"), {"lock_days": 30})
    add_case(world.database, "locked" + "x" * 300)
    cloud.backup("locked")
    before = keys(server, prefix)
    (outcome,) = copy_missing(site, world.context())
    assert outcome.copy is not None
    assert outcome.copy.protected_until is not None
    assert {each for each in keys(server, prefix) - before if "/packs/" in each}
    options = store_options(site, find_destination(site, "cloud"))
    assert options["checksum_algorithm"] == "SHA256"
    found = collected(cloud)
    put_at = [each.modified for each in found.look.packs.values()]
    first = datetime.fromtimestamp(min(put_at), UTC) + timedelta(days=30)
    assert found.plan.copies
    assert all(moment >= first for _, moment in found.plan.copies)
    assert all(each.not_before >= first for each in found.plan.condemned)
