"""Copying off-site, in a process that gets killed: what its helper does is done in itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from commands.audit.keys import make_key
from commands.backups.take import take_backup
from commands.offsite import copy as copying
from commands.offsite.add import NewDestination, add_destination
from commands.offsite.change import change_destination
from commands.offsite.copy_all import copy_missing
from commands.offsite.deleting.collect import collect
from commands.offsite.destinations import find_destination
from commands.offsite.repository.folder_store import FolderStore
from commands.offsite.repository.opening import open_store
from commands.offsite.worker.jobs import CopyJob, CopyResult
from commands.offsite.worker.send import make_copy
from tests.commands.offsite.buckets import BUCKET, credentials, options_of
from tests.commands.offsite.repositories import IDENTITY, nothing, recipient_of
from tests.commands.world import World, add_case

OFFSITE_COPY = "off-site copy"
OFFSITE_COLLECT = "off-site collect"
BUCKET_COLLECT = "off-site collect in a bucket"
SERVER = "BACKUP_LEDGER_TEST_S3"
"""The environment's variable with the URL of the server of this story."""


def key_of(world: World) -> Path:
    return world.folder.parent / "checkpoint.key"


def store_of(world: World) -> FolderStore:
    return FolderStore(world.folder / "nas")


def with_key(world: World) -> World:
    """The world as its configuration has it."""
    world.options["checkpoint_key"] = key_of(world)
    return world


def copy_in_this_process(job: CopyJob, *_: object) -> CopyResult:
    return make_copy(open_store(job.url, job.options), job, nothing)


def store_at(job: CopyJob) -> FolderStore:
    return FolderStore(Path(job.url.removeprefix("file://")))


def in_bucket(world: World) -> World:
    """The same, with what a bucket needs."""
    secrets = world.folder.parent / "credentials.toml"
    lines = [f'{name} = "{value}"' for name, value in credentials().items()]
    secrets.write_text("\n".join(["[nas]", *lines]) + "\n")
    secrets.chmod(0o600)
    world.options["offsite_credentials"] = secrets
    return world


def prepare(world: World, url: str | None = None, **options: Any) -> None:
    """A destination with a copy, and a backup that has none yet."""
    make_key("example.com/crash", key_of(world))
    site = with_key(world).site
    wanted = NewDestination(
        url=url or f"file://{store_of(world).root}",
        name="nas",
        **options,
        recipients=(recipient_of(IDENTITY),),
        identities=(IDENTITY,),
        one_recipient=True,
    )
    add_destination(site, world.context(), wanted)
    copying.run_copy = copy_in_this_process
    take_backup(site, world.context(), filename="first.db")
    copy_missing(site, world.context())
    add_case(world.database, "second")
    world.advance(hours=1)
    take_backup(site, world.context(), filename="second.db")


def act(world: World) -> None:
    copy_missing(world.site, world.context())


def prepare_bucket(world: World) -> None:
    """The same in a bucket; each world has a prefix of its own."""
    in_bucket(world)
    url = f"s3://{BUCKET}/{uuid5(NAMESPACE_URL, str(world.folder))}"
    stored = options_of(os.environ[SERVER])
    prepare_collect(world, url, options=stored, credentials=credentials())


def prepare_collect(world: World, url: str | None = None, **options: Any) -> None:
    """Copies that retention lets go: two are condemned and may be deleted, two are next."""
    prepare(world, url, **options)
    site = world.site
    change_destination(site, world.context(), find_destination(site, "nas"), {"keep": 1})
    _copied(world, "third.db")
    collect_now(world)
    world.advance(hours=25)
    for name in ("fourth.db", "fifth.db"):
        _copied(world, name)


def _copied(world: World, name: str) -> None:
    """One more backup, and copies of what has none."""
    add_case(world.database, name)
    world.advance(hours=1)
    take_backup(world.site, world.context(), filename=name)
    copy_missing(world.site, world.context())


def collect_now(world: World) -> None:
    collect(world.site, world.context(), find_destination(world.site, "nas"))
