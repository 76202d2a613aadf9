"""A bad network before a bucket: what arrives counts, what does not is sent again, nothing lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from random import Random
from time import monotonic

import pytest

from commands.offsite.copy_all import copy_due
from commands.offsite.errors import DestinationUnreachable, RepositoryDamaged
from commands.offsite.probe import probe_store
from commands.offsite.repository.bucket_store import BucketStore
from commands.offsite.verify import verify_copies
from commands.restore.from_copy import restore_from_copy
from ledger.events.offsite import CopyCompleted, CopyFailed, PacksMissing
from tests.commands.offsite.buckets import BUCKET, credentials, options_of, s3_server
from tests.commands.offsite.conftest import IDENTITIES, MakeOffsite, Offsite
from tests.commands.offsite.faulty_proxy import (
    Proxy,
    Request,
    Spoiled,
    always,
    faulty_proxy,
    flipped,
    times,
    without_keys,
)
from tests.commands.offsite.repositories import Repository


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def proxy(server: str) -> Iterator[Proxy]:
    with faulty_proxy(server) as made:
        yield made


@pytest.fixture
def cloud(make_offsite: MakeOffsite, proxy: Proxy, tmp_path: Path) -> Offsite:
    """A world whose destination `nas` is a bucket behind the proxy."""
    file = tmp_path / "credentials.toml"
    file.write_text("[nas]\n" + "".join(f'{k} = "{v}"\n' for k, v in credentials().items()))
    file.chmod(0o600)
    offsite = make_offsite(offsite_credentials=file)
    offsite.add(
        url=f"s3://{BUCKET}/{tmp_path.name}",
        options=options_of(proxy.url),
        credentials=credentials(),
    )
    proxy.seen.clear()
    return offsite


def puts(part: str) -> Callable[[Request], bool]:
    return lambda request: request.is_of("PUT", part)


def gets(part: str) -> Callable[[Request], bool]:
    return lambda request: request.is_of("GET", part)


def restored(cloud: Offsite, name: str, tmp_path: Path) -> bytes:
    """The bytes of a backup, restored from its copy."""
    world, target = cloud.world, tmp_path / "restored.db"
    restore_from_copy(
        world.site, world.context(), name, destination="nas", identities=IDENTITIES, to=target
    )
    return target.read_bytes()


CUT = Spoiled()
LOST_ANSWER = Spoiled(forward=True)
HALF = Spoiled(forward=True, send=lambda length: length // 2)


@pytest.mark.parametrize(
    "spoiled",
    [Spoiled(status=500), Spoiled(status=503), CUT, LOST_ANSWER],
    ids=["500", "503", "cut request", "lost answer"],
)
def test_trouble_that_passes_is_waited_out(cloud: Offsite, proxy: Proxy, spoiled: Spoiled) -> None:
    """A pack whose answer was lost is written again under its name: there is one."""
    proxy.faults = [times(2, puts("packs/"), spoiled), times(1, puts(".packs"), spoiled)]
    copy = cloud.copy(cloud.backup("one"))
    assert copy.status == "ok"
    store = BucketStore(cloud.nas.url, options_of(proxy.url) | credentials())
    assert len(list(store.list("packs/"))) == copy.packs == 1


def test_trouble_that_stays_is_a_failure_and_nothing_is_sent_twice(
    cloud: Offsite, proxy: Proxy
) -> None:
    """The pack had arrived; only the list and the manifest are sent the next time."""
    backup = cloud.backup("one")
    proxy.faults = [always(puts("copies/"), Spoiled(status=503))]
    with pytest.raises(DestinationUnreachable, match="copies/"):
        cloud.copy(backup)
    assert len(cloud.world.recorded(CopyFailed)) == 1
    proxy.faults, sent = [], proxy.sent_bytes("packs/")
    copy = cloud.copy(backup)
    assert (copy.status, copy.new_pages) == ("ok", 0)
    assert proxy.sent_bytes("packs/") == sent
    assert copy.sent_bytes == proxy.sent_bytes("copies/")


def test_a_resumed_copy_sends_only_the_rest(proxy: Proxy, tmp_path: Path) -> None:
    """Bytes are counted: each pack of a large file crosses the line once."""
    repository = Repository(tmp_path, IDENTITIES)
    store = BucketStore(f"s3://{BUCKET}/resumed", options_of(proxy.url) | credentials())
    path = tmp_path / "large.db"
    path.write_bytes(Random(1).randbytes(36_000_000))
    packs = 0

    def third_is_refused(request: Request) -> Spoiled | None:
        nonlocal packs
        packs += request.is_of("PUT", "packs/")
        return Spoiled(status=403) if packs > 2 else None

    proxy.faults = [third_is_refused]
    with pytest.raises(DestinationUnreachable):
        repository.copy(path, store)
    before = proxy.sent_bytes("packs/")
    assert before > 30_000_000
    proxy.faults = []
    result = repository.copy(path, store)
    sizes = {each.path: each.size for each in store.list("packs/")}
    assert len(sizes) == len(result.pack_names) == 3
    assert proxy.sent_bytes("packs/") == sum(sizes.values())
    assert result.sent_bytes == proxy.sent_bytes() - before


@pytest.mark.parametrize("share", [1, 2], ids=["stale", "short"])
def test_a_listing_that_lacks_packs_is_doubted(cloud: Offsite, proxy: Proxy, share: int) -> None:
    """Each pack that it lacks is looked at; nothing is sent again, nothing recorded as missing."""
    cloud.copy(cloud.backup("one"))
    shortened = Spoiled(forward=True, body=without_keys("packs/", share))
    proxy.faults = [always(lambda request: request.is_listing, shortened)]
    proxy.seen.clear()
    assert cloud.copy(cloud.backup("two")).new_pages == 0
    assert proxy.count(lambda request: request.is_of("HEAD", "packs/")) == 1
    assert cloud.world.recorded(PacksMissing) == []
    world = cloud.world
    checked = list(verify_copies(world.site, world.context(), cloud.nas, "listed"))
    assert [each.problem for each in checked] == [None, None]


def test_an_answer_that_is_cut_is_never_taken_for_whole(
    cloud: Offsite, proxy: Proxy, tmp_path: Path
) -> None:
    """Neither the manifest that is read back, nor a pack that is fetched."""
    proxy.faults = [times(1, gets("copies/"), HALF)]
    backup = cloud.backup("one")
    while not cloud.world.recorded(CopyCompleted):
        try:
            cloud.copy(backup)
        except DestinationUnreachable:
            assert cloud.world.recorded(CopyCompleted) == []
    proxy.faults = [always(gets("packs/"), HALF)]
    with pytest.raises(DestinationUnreachable):
        restored(cloud, "one.db", tmp_path)
    proxy.faults = []
    assert sha256(restored(cloud, "one.db", tmp_path)).hexdigest() == backup.sha256


def test_other_bytes_than_were_written_are_noticed(
    cloud: Offsite, proxy: Proxy, tmp_path: Path
) -> None:
    """At once where they are read back; by the digest where they are fetched or verified."""
    lying = Spoiled(forward=True, body=flipped)
    backup, world = cloud.backup("one"), cloud.world
    proxy.faults = [always(gets("copies/"), lying)]
    with pytest.raises(RepositoryDamaged, match="cannot be trusted"):
        cloud.copy(backup)
    assert world.recorded(CopyCompleted) == []
    proxy.faults = []
    cloud.copy(backup)
    proxy.faults = [always(gets("packs/"), lying)]
    with pytest.raises(RepositoryDamaged, match="SHA-256"):
        restored(cloud, "one.db", tmp_path)
    assert not (tmp_path / "restored.db").exists()
    (found,) = verify_copies(world.site, world.context(), cloud.nas, "digest")
    assert found.problem is not None
    proxy.faults = []
    (found,) = verify_copies(world.site, world.context(), cloud.nas, "digest")
    assert found.problem is None
    assert sha256(restored(cloud, "one.db", tmp_path)).hexdigest() == backup.sha256


def test_credentials_that_may_write_and_not_delete_are_enough_to_copy(
    cloud: Offsite, proxy: Proxy
) -> None:
    """The probe says so; what a failed copy left stays until others sweep it."""
    proxy.faults = [
        always(lambda request: request.is_delete, Spoiled(status=403)),
        times(1, lambda request: request.is_of("PUT", "copies/"), Spoiled(status=403)),
    ]
    store = BucketStore(f"s3://{BUCKET}/probed", options_of(proxy.url) | credentials())
    assert probe_store(store) == {"writes": True, "reads": True, "lists": True, "deletes": False}
    backup = cloud.backup("one")
    with pytest.raises(DestinationUnreachable, match="may not write"):
        cloud.copy(backup)
    assert cloud.copy(backup).status == "ok"


def test_nothing_depends_on_conditions(cloud: Offsite, proxy: Proxy) -> None:
    """Servers answer 412 or 501 to them, or ignore them: no request has one."""
    refused = Spoiled(status=501)
    proxy.faults = [always(lambda request: bool(request.conditions), refused)]
    world = cloud.world
    assert cloud.copy(cloud.backup("one")).status == "ok"
    assert len(list(verify_copies(world.site, world.context(), cloud.nas, "digest"))) == 1
    assert proxy.count(lambda request: bool(request.conditions)) == 0


@pytest.mark.slow
def test_a_kilobyte_a_second_takes_long_and_ends_well(
    cloud: Offsite, proxy: Proxy, tmp_path: Path
) -> None:
    backup = cloud.backup("one")
    proxy.bytes_per_second = 1_000
    assert cloud.copy(backup).status == "ok"
    assert sha256(restored(cloud, "one.db", tmp_path)).hexdigest() == backup.sha256


def test_a_scheduler_that_stops_does_not_wait_for_a_slow_line(cloud: Offsite, proxy: Proxy) -> None:
    """The helper process is ended in the middle of an object; the copy is tried again."""
    cloud.backup("one")
    site, begun, asked = cloud.world.site, monotonic(), 0

    def slow_line(request: Request) -> Spoiled | None:
        if request.is_of("PUT", "packs/"):
            proxy.bytes_per_second = 1
        return None

    def stop() -> bool:
        nonlocal asked
        asked += proxy.bytes_per_second == 1
        return asked > 0

    proxy.faults = [slow_line]
    (outcome,) = copy_due(site, cloud.world.context(), stop)
    assert "was stopped" in str(outcome.error)
    assert monotonic() - begun < 60
    assert [each.error_type for each in cloud.world.recorded(CopyFailed)] == ["CopyStopped"]
