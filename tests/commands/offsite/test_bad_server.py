"""`rclone serve s3`, which knows neither conditions nor much else; and what bad input says."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from commands.offsite.copy_all import copy_missing
from commands.offsite.destinations import find_destination
from commands.offsite.errors import (
    DestinationUnreachable,
    OffsiteError,
    RepositoryForked,
)
from commands.offsite.probe import probe_store
from commands.offsite.recover import recover_ledger
from commands.offsite.repository.bucket_store import BucketStore
from commands.offsite.repository.index import Index
from commands.offsite.verify import verify_copies
from commands.restore.from_copy import restore_from_copy
from commands.site.configuration import Configuration
from commands.site.opening import open_site
from commands.sqlite.errors import NotEnoughSpace
from ledger.events.offsite import DestinationAdded
from tests.commands.offsite.buckets import ACCESS, BUCKET, SECRET, credentials, options_of
from tests.commands.offsite.conftest import IDENTITIES, MakeOffsite, Offsite
from tests.commands.offsite.faulty_proxy import (
    Proxy,
    Request,
    Spoiled,
    always,
    faulty_proxy,
)
from tests.commands.offsite.repositories import Repository, make_sqlite


@contextmanager
def rclone_server(folder: Path) -> Iterator[str]:
    """Its URL; a bucket is a folder."""
    (folder / BUCKET).mkdir(parents=True)
    program = Path(sys.executable).with_name("rclone")
    process = subprocess.Popen(
        [
            str(program),
            "serve",
            "s3",
            "--addr",
            "127.0.0.1:0",
            "--auth-key",
            f"{ACCESS},{SECRET}",
            str(folder),
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RCLONE_CONFIG": str(folder / "none.conf")},
    )
    with process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if found := re.search(r"\[(http://127\.0\.0\.1:[0-9]+)/\]", line):
                    yield found[1]
                    break
            else:
                pytest.fail("rclone did not start")
        finally:
            process.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with rclone_server(tmp_path_factory.mktemp("rclone")) as url:
        yield url


@pytest.fixture
def cloud(make_offsite: MakeOffsite, tmp_path: Path) -> Offsite:
    """A world with credentials for a destination `nas`, which is not added yet."""
    file = tmp_path / "credentials.toml"
    file.write_text("[nas]\n" + "".join(f'{k} = "{v}"\n' for k, v in credentials().items()))
    file.chmod(0o600)
    return make_offsite(offsite_credentials=file)


def add(cloud: Offsite, url: str, prefix: str) -> None:
    cloud.add(url=f"s3://{BUCKET}/{prefix}", options=options_of(url), credentials=credentials())


@pytest.mark.parametrize("prefix", ["plain", "größte Sicherung 2025"])
def test_everything_works_at_a_bad_server(
    cloud: Offsite, server: str, tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copied, verified, restored, recovered on a bare machine; whatever the prefix is called."""
    for name, value in credentials().items():
        monkeypatch.setenv(f"AWS_{name.upper()}", value)
    add(cloud, server, prefix)
    world, backup = cloud.world, cloud.backup("one")
    assert [each.error for each in copy_missing(world.site, world.context())] == [None]
    (checked,) = verify_copies(world.site, world.context(), cloud.nas, "digest")
    assert checked.problem is None
    target = tmp_path / "restored.db"
    restore_from_copy(
        world.site,
        world.context(),
        "one.db",
        destination="nas",
        identities=IDENTITIES[:1],
        to=target,
    )
    assert sha256(target.read_bytes()).hexdigest() == backup.sha256
    found = recover_ledger(
        cloud.nas.url,
        tmp_path / "new",
        identities=IDENTITIES[1:],
        options=options_of(elsewhere := server.replace("127.0.0.1", "localhost")),
        credentials=credentials(),
    )
    assert found.destinations == ["nas"]
    site = open_site(Configuration(backups=tmp_path / "new"), "read")
    assert find_destination(site, "nas").options == cloud.nas.options | options_of(elsewhere)
    site.close()
    for secret in credentials().values():
        assert secret.encode() not in (tmp_path / "new" / "ledger.sqlite").read_bytes()


def test_another_ledgers_prefix_in_a_bucket_is_refused(
    cloud: Offsite, server: str, make_offsite: MakeOffsite
) -> None:
    add(cloud, server, "ours")
    other = make_offsite("other")
    with pytest.raises(RepositoryForked, match="another ledger"):
        add(other, server, "ours")
    assert other.world.recorded(DestinationAdded) == []


@pytest.fixture
def proxy(server: str) -> Iterator[Proxy]:
    with faulty_proxy(server) as made:
        yield made


def is_put(request: Request) -> bool:
    return request.method == "PUT"


def test_credentials_that_may_list_and_not_write(cloud: Offsite, proxy: Proxy) -> None:
    """Said before anything is recorded."""
    proxy.faults = [always(is_put, Spoiled(status=403))]
    with pytest.raises(DestinationUnreachable, match="these credentials may not write"):
        add(cloud, proxy.url, "read-only")
    assert cloud.world.recorded(DestinationAdded) == []


def test_a_clock_that_the_store_refuses_is_called_that(proxy: Proxy) -> None:
    """Not: wrong credentials."""
    text = b"<Error><Code>RequestTimeTooSkewed</Code><Message>too large</Message></Error>"
    proxy.faults = [always(is_put, Spoiled(status=403, text=text))]
    store = BucketStore(f"s3://{BUCKET}/app", options_of(proxy.url) | credentials())
    with pytest.raises(DestinationUnreachable, match="refuses this machine's clock"):
        probe_store(store)


def test_a_full_disk_under_a_new_file_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a mapped page would end the process; and before a fetch receives anything."""
    repository = Repository(tmp_path, IDENTITIES)
    make_sqlite(tmp_path / "a.db", 4096)

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        with pytest.raises(NotEnoughSpace, match="no space left"):
            repository.copy(tmp_path / "a.db")
    assert not (tmp_path / "columns").exists()
    repository.copy(tmp_path / "a.db")
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        with pytest.raises(NotEnoughSpace, match="no space left"):
            repository.fetched()
    assert not (tmp_path / "fetched").exists()
    assert repository.fetched() == (tmp_path / "a.db").read_bytes()


def test_a_full_disk_under_the_index_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pack that had arrived is sent again: it costs bytes, nothing else."""
    repository = Repository(tmp_path, IDENTITIES)
    make_sqlite(tmp_path / "a.db", 4096, rows=20_000)
    begin = Index.__init__

    def small(self: Index, path: Path) -> None:
        begin(self, path)
        connection: sqlite3.Connection = vars(self)["_connection"]
        connection.execute("PRAGMA max_page_count=1")

    with monkeypatch.context() as patched:
        patched.setattr(Index, "__init__", small)
        with pytest.raises(OffsiteError, match="database or disk is full"):
            repository.copy(tmp_path / "a.db")
    repository.copy(tmp_path / "a.db")
    assert repository.fetched() == (tmp_path / "a.db").read_bytes()
