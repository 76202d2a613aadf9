"""Copying off-site, in a process that gets killed: what its helper does is done in itself."""

from __future__ import annotations

from pathlib import Path

from commands.audit.keys import make_key
from commands.backups.take import take_backup
from commands.offsite import copy as copying
from commands.offsite.add import NewDestination, add_destination
from commands.offsite.change import change_destination
from commands.offsite.copy_all import copy_missing
from commands.offsite.deleting.collect import collect
from commands.offsite.destinations import find_destination
from commands.offsite.repository.folder_store import FolderStore
from commands.offsite.worker.jobs import CopyJob, CopyResult
from commands.offsite.worker.send import make_copy
from tests.commands.offsite.repositories import IDENTITY, nothing, recipient_of
from tests.commands.world import World, add_case

OFFSITE_COPY = "off-site copy"
OFFSITE_COLLECT = "off-site collect"


def key_of(world: World) -> Path:
    return world.folder.parent / "checkpoint.key"


def store_of(world: World) -> FolderStore:
    return FolderStore(world.folder / "nas")


def with_key(world: World) -> World:
    """The world as its configuration has it."""
    world.options["checkpoint_key"] = key_of(world)
    return world


def copy_in_this_process(job: CopyJob, *_: object) -> CopyResult:
    return make_copy(store_at(job), job, nothing)


def store_at(job: CopyJob) -> FolderStore:
    return FolderStore(Path(job.url.removeprefix("file://")))


def prepare(world: World) -> None:
    """A destination with a copy, and a backup that has none yet."""
    make_key("example.com/crash", key_of(world))
    site = with_key(world).site
    wanted = NewDestination(
        url=f"file://{store_of(world).root}",
        name="nas",
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


def prepare_collect(world: World) -> None:
    """Copies that retention lets go: one is condemned and may be deleted, another is next."""
    prepare(world)
    site = world.site
    change_destination(site, world.context(), find_destination(site, "nas"), {"keep": 1})
    copy_missing(site, world.context())
    collect_now(world)
    world.advance(hours=25)
    for name in ("third.db", "fourth.db"):
        add_case(world.database, name)
        world.advance(hours=1)
        take_backup(site, world.context(), filename=name)
    copy_missing(site, world.context())


def collect_now(world: World) -> None:
    collect(world.site, world.context(), find_destination(world.site, "nas"))
