"""Damaged copies are replaced where the backup is still here; the others stay, and are named."""

from __future__ import annotations

from commands.backups.delete import delete_backup
from commands.offsite.deleting.collect import collect
from commands.offsite.upkeep.repair import Repaired, repair_copies
from commands.offsite.verify import verify_copies
from ledger.events.offsite_deletion import CopyDeleted
from tests.commands.offsite.conftest import Offsite
from tests.commands.offsite.repositories import change_bytes


def damage(offsite: Offsite) -> None:
    """A bit of the only pack turns, and somebody looks."""
    (path,) = offsite.objects("packs/")
    change_bytes(offsite.folder / path, 300, b"rot")
    list(verify_copies(offsite.world.site, offsite.world.context(), offsite.nas, "digest"))


def repair(offsite: Offsite) -> list[Repaired]:
    return repair_copies(offsite.world.site, offsite.world.context(), offsite.nas)


def statuses(offsite: Offsite) -> list[tuple[str, str]]:
    return [(each.filename, each.status) for each in offsite.copies()]


def test_a_damaged_copy_is_made_anew_and_the_damaged_one_goes(offsite: Offsite) -> None:
    offsite.copy(offsite.backup("one"))
    damage(offsite)
    assert statuses(offsite) == [("one.db", "corrupt")]
    (repaired,) = repair(offsite)
    assert repaired.made is not None
    assert repaired.made.new_pages == repaired.made.pages
    assert statuses(offsite) == [("one.db", "deleting"), ("one.db", "ok")]
    world = offsite.world
    collect(world.site, world.context(), offsite.nas)
    world.advance(hours=25)
    collect(world.site, world.context(), offsite.nas)
    assert statuses(offsite) == [("one.db", "deleted"), ("one.db", "ok")]
    assert [each.reason for each in world.recorded(CopyDeleted)] == ["repair"]
    assert len(offsite.objects("packs/")) == 1
    checked = verify_copies(world.site, world.context(), offsite.nas, "digest")
    assert [each.problem for each in checked] == [None]
    assert repair(offsite) == []


def test_what_cannot_be_replaced_stays_and_is_named(offsite: Offsite) -> None:
    """Its backup was deleted here; half of its pages may be worth something to somebody."""
    offsite.copy(offsite.backup("one"))
    offsite.copy(offsite.backup("two"))
    damage(offsite)
    world = offsite.world
    delete_backup(world.site, world.context(), "one.db")
    first, second = repair(offsite)
    assert (first.made, first.reason) == (None, "its backup is not here any more")
    assert second.made is not None
    assert statuses(offsite)[:2] == [("one.db", "corrupt"), ("two.db", "deleting")]


def test_a_backup_that_is_damaged_itself_replaces_nothing(offsite: Offsite) -> None:
    offsite.copy(offsite.backup("one"))
    damage(offsite)
    change_bytes(offsite.world.backups / "one.db", 5_000, b"rot")
    (repaired,) = repair(offsite)
    assert repaired.made is None
    assert offsite.copies()[0].status == "corrupt"
