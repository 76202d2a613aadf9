"""A folder in which people did things that hold their names, and searches for what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.backups.delete import delete_backup
from commands.backups.hold import place_hold, release_holds
from commands.backups.take import take_backup
from commands.erasure.find import Person
from commands.erasure.redact import Erased, Wanted, erase, plan_of
from commands.schedules.settings import pause, resume
from ledger.records.record import Actor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from commands.site.site import Site
    from tests.commands.world import World

ANNA = Actor(id="anna-of-the-archive", kind="operator")
USER = Actor(id="1", kind="user")
SECRETS = ("anna-of-the-archive", "said-by-anna", "noted-by-one", "file-of-anna")


def fill(world: World) -> None:
    """Anna holds, releases and deletes her own backup; user 1 pauses; a night passes."""
    site = world.site
    world.configure(1, enabled=True, frequency="daily", backup_time="03:00", keep_count=7)
    world.due_again()
    world.check()
    anna = site.context(ANNA)
    own = take_backup(site, anna, filename="file-of-anna.db")
    place_hold(site, anna, own.filename, "said-by-anna: evidence")
    release_holds(site, anna, own.filename)
    delete_backup(site, anna, own.filename)
    held = world.present(1)[0]
    place_hold(site, anna, held.filename, "said-by-anna: keep this one")
    pause(site, site.context(USER), 1, "noted-by-one: on holiday")
    resume(site, site.context(USER), 1, None)
    world.due_again()
    world.check()


def erase_all(site: Site, person: Person, ticket: str = "DSR-1") -> Erased:
    wanted = Wanted.checked("article 17", ticket, person=person)
    return erase(
        site, site.context(Actor(id="officer", kind="operator")), wanted, plan_of(site, wanted)
    )


def found_in(folder: Path, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    """(file, text) for each text that stands in the bytes of a file, under whatever name."""
    return [
        (path.name, text)
        for path in _files(folder)
        for text in texts
        if text.encode() in path.read_bytes()
    ]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
