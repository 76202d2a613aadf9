"""What every store promises, in a folder and in a bucket; and what a bad place says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from commands.errors import InvalidArgument
from commands.offsite.copy import copy_backup
from commands.offsite.destinations import find_destination, read_credentials
from commands.offsite.errors import DestinationRefused, DestinationUnreachable, ObjectMissing
from commands.offsite.probe import probe_store
from commands.offsite.repository.bucket_store import BucketStore
from commands.offsite.repository.folder_store import FolderStore
from commands.offsite.repository.opening import open_store
from commands.offsite.repository.stores import ObjectStore
from tests.commands.offsite.buckets import BUCKET, credentials, options_of, s3_server
from tests.commands.offsite.conftest import Offsite
from tests.commands.offsite.repositories import Repository, make_sqlite


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        folder = FolderStore(tmp_path / "store")
        folder.make_root()
        return folder
    url = request.getfixturevalue("server")
    prefix = f"s3://{BUCKET}/{tmp_path.name}"
    return BucketStore(prefix, options_of(url) | credentials())


def test_what_is_put_is_there_until_it_is_deleted(store: ObjectStore) -> None:
    """Durable, replaced by a second put; deleting twice is fine."""
    store.put("packs/aa/one", b"first")
    store.put("packs/aa/one", b"second")
    store.put("packs/ab/two", b"")
    assert store.get("packs/aa/one") == b"second"
    assert (store.head("packs/aa/one"), store.head("packs/ab/two")) == (6, 0)
    listed = {each.path: each.size for each in store.list("packs/")}
    assert listed == {"packs/aa/one": 6, "packs/ab/two": 0}
    assert {each.path for each in store.list()} == set(listed)
    store.delete("packs/aa/one")
    store.delete("packs/aa/one")
    assert [each.path for each in store.list("packs/")] == ["packs/ab/two"]


def test_what_is_not_there_is_told_from_what_cannot_be_reached(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing):
        store.get("packs/aa/one")
    assert store.head("packs/aa/one") is None
    assert list(store.list("packs/")) == []


def test_a_store_is_tried_before_it_is_used(store: ObjectStore) -> None:
    found = probe_store(store)
    assert found == {"writes": True, "reads": True, "lists": True, "deletes": True}
    assert list(store.list()) == []


def test_a_repository_in_a_bucket_gives_back_what_it_got(server: str, tmp_path: Path) -> None:
    """The same objects as in a folder: nothing depends on the kind of store."""
    repository = Repository(tmp_path)
    bucket = BucketStore(f"s3://{BUCKET}/whole", options_of(server) | credentials())
    make_sqlite(tmp_path / "a.db", 4096)
    repository.copy(tmp_path / "a.db", bucket)
    for each in bucket.list():
        repository.store.put(each.path, bucket.get(each.path))
    assert repository.fetched() == (tmp_path / "a.db").read_bytes()


def test_a_destination_in_a_bucket(offsite: Offsite, server: str, tmp_path: Path) -> None:
    """Credentials come from a private file, and stand in no record."""
    file = tmp_path / "credentials.toml"
    lines = [f'{name} = "{value}"' for name, value in credentials().items()]
    file.write_text("\n".join(["[cloud]", *lines]))
    file.chmod(0o600)
    world = offsite.world
    world.close()
    world.open(offsite_credentials=file)
    offsite.add(
        url=f"s3://{BUCKET}/app",
        name="cloud",
        options=options_of(server),
        credentials=credentials(),
    )
    cloud = find_destination(world.site, "cloud")
    copy = copy_backup(world.site, world.context(), cloud, offsite.backup("one"))
    assert copy.status == "ok"
    secret = credentials()["secret_access_key"].encode()
    assert not any(secret in row.record for row in world.site.ledger.records() if row.record)


def test_a_credentials_file_that_others_can_read_is_refused(
    offsite: Offsite, tmp_path: Path
) -> None:
    file = tmp_path / "credentials.toml"
    file.write_text("[nas]\n")
    file.chmod(0o644)
    offsite.world.close()
    site = offsite.world.open(offsite_credentials=file)
    with pytest.raises(InvalidArgument, match="chmod 600"):
        read_credentials(site, "nas")
    os.chmod(file, 0o600)
    assert read_credentials(site, "nas") == {}


def test_a_bucket_that_is_not_there(server: str) -> None:
    store = BucketStore("s3://nobody/app", options_of(server) | credentials())
    with pytest.raises(DestinationUnreachable, match="nobody/app"):
        probe_store(store)


class _Html(BaseHTTPRequestHandler):
    """A server of another kind: whatever is asked, a page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>" * 100)

    def do_PUT(self) -> None:
        self.do_GET()

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


def test_an_endpoint_that_answers_html() -> None:
    """One line, and no page of markup in it."""
    server = HTTPServer(("127.0.0.1", 0), _Html)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with pytest.raises(DestinationUnreachable) as caught:
            probe_store(BucketStore("s3://b/app", options_of(url) | credentials()))
    finally:
        server.shutdown()
        server.server_close()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "url", ["ftp://nas/app", "s3:///prefix", "file://", "file:///", "s3://b/p?secret=1", "nas"]
)
def test_what_is_no_destination_is_refused(url: str) -> None:
    with pytest.raises(DestinationRefused):
        open_store(url)


def test_an_option_that_the_store_does_not_have_is_refused() -> None:
    with pytest.raises(DestinationRefused, match="docs/OFFSITE"):
        open_store("s3://bucket/app", {"color": "blue"})


def test_a_file_that_was_half_written_is_never_listed(tmp_path: Path) -> None:
    """As after a power cut; old ones are cleared away."""
    store = FolderStore(tmp_path)
    store.put("packs/aa/one", b"1")
    (tmp_path / "packs" / "aa" / ".unfinished-x").write_bytes(b"half")
    assert [each.path for each in store.list("packs/")] == ["packs/aa/one"]
    store.clear_unfinished(before=4e9)
    assert [path.name for path in (tmp_path / "packs" / "aa").iterdir()] == ["one"]


def test_files_there_are_private(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "new")
    store.make_root()
    store.put("packs/aa/one", b"1")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "new").rglob("*")}
    assert modes == {0o600, 0o700}
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
