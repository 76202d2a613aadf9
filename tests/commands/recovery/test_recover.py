"""Recovery judges only what a dead owner left; whoever lives is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from commands.backups.take import take_backup
from commands.recovery.recover import Recovered, recover
from commands.site.site import Site
from tests.commands.invariants import require_whole
from tests.commands.world import World


def kill(site: Site) -> None:
    """What the kernel does to a killed process's site: its lock is free, all else stays."""
    os.close(site.owner.lock_descriptor)
    site.owner.lock_descriptor = -1


@pytest.fixture
def two(world: World) -> World:
    """Two processes: the first one has taken a backup and works on."""
    world.open()
    take_backup(world.site, world.context(), filename="one.db")
    world.open("act")
    return world


def unpublish(world: World, site: Site) -> Path:
    """As if the only backup had been recorded, but not published yet, by this process."""
    (backup,) = world.present()
    staged = site.owner.folder / backup.backup_id
    (world.backups / backup.filename).rename(staged)
    return staged


def test_staged_file_of_a_living_owner_is_left_alone(two: World) -> None:
    """It may be about to be recorded."""
    first, second = two.sites
    orphan = first.owner.folder / "11111111-1111-4111-8111-111111111111"
    orphan.write_bytes(b"half a copy")
    assert not recover(second)
    assert orphan.exists()
    orphan.unlink()


def test_staged_file_without_an_event_goes_with_its_owner(two: World) -> None:
    """With every sidecar, and the folder."""
    first, second = two.sites
    folder = first.owner.folder
    name = "11111111-1111-4111-8111-111111111111"
    for suffix in ("", "-wal", "-journal"):
        (folder / f"{name}{suffix}").write_bytes(b"half a copy")
    kill(first)
    recovered = recover(second)
    assert name in recovered.discarded
    assert not folder.exists()
    require_whole(second)


def test_recorded_backup_of_a_dead_owner_is_published(two: World) -> None:
    """What is in the ledger happens."""
    first, second = two.sites
    unpublish(two, first)
    kill(first)
    assert recover(second).published == ["one.db"]
    require_whole(second)


def test_file_that_took_its_name_meanwhile_is_moved_aside(two: World) -> None:
    """Never overwritten; it is adopted under its new name by the next reconcile."""
    first, second = two.sites
    unpublish(two, first)
    (two.backups / "one.db").write_bytes(b"a stranger")
    kill(first)
    recover(second)
    assert (two.backups / "one_2.db").read_bytes() == b"a stranger"
    assert (two.backups / "one.db").read_bytes()[:6] == b"SQLite"


def test_half_published_backup_is_finished(two: World) -> None:
    """Killed between link and unlink: both names are one file."""
    first, second = two.sites
    staged = unpublish(two, first)
    os.link(staged, two.backups / "one.db")
    kill(first)
    recover(second)
    require_whole(second)


def test_second_recovery_has_nothing_to_do(two: World) -> None:
    """It may run at every check."""
    first, second = two.sites
    unpublish(two, first)
    kill(first)
    assert recover(second)
    with two.watched() as types:
        assert recover(second) == Recovered()
    assert types == []


def test_what_is_no_folder_in_staging_is_left_alone(two: World) -> None:
    """Somebody put a file there."""
    stray = two.backups / ".staging" / "README"
    stray.write_text("who did this")
    recover(two.site)
    assert stray.exists()


def test_folder_that_is_not_empty_of_strange_things_does_not_stop_recovery(two: World) -> None:
    """A folder within a dead owner's folder is reported, and the rest goes on."""
    first, second = two.sites
    unpublish(two, first)
    (first.owner.folder / "strange").mkdir()
    kill(first)
    assert recover(second).published == ["one.db"]
