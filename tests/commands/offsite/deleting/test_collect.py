"""Collecting: what retention lets go is condemned, then deleted, and nothing else is."""

from __future__ import annotations

from hashlib import sha256

import pytest

from commands.backups.hold import place_hold
from commands.offsite.add import add_destination
from commands.offsite.change import attach_destination, remove_destination
from commands.offsite.deleting import collect as collecting
from commands.offsite.deleting.claim import claimed
from commands.offsite.deleting.collect import is_append_only
from commands.offsite.errors import (
    CopyUnknown,
    DeletionForbidden,
    DestinationConflict,
    DestinationRefused,
    RepositoryAhead,
    RepositoryForked,
)
from commands.offsite.fetch import newest_copy
from commands.offsite.repository.folder_store import FolderStore
from commands.offsite.status import destination_statuses
from ledger.append.leases_and_names import all_leases
from ledger.append.tables import events
from ledger.events.offsite_deletion import (
    CollectCompleted,
    CollectFailed,
    CopyDeleted,
    CopyDeletionStarted,
    PacksCondemned,
    PacksDeleted,
    PacksDeletionStarted,
)
from tests.commands.offsite.deleting.conftest import Deleting

ROUND = [
    "backup_offsite.collect_started",
    "backup_offsite.collect_completed",
]


def leases_of_collects(deleting: Deleting) -> list[str]:
    with deleting.offsite.world.site.ledger.engine.connect() as connection:
        return [each.run_id for each in all_leases(connection, "collect")]


def test_without_a_retention_nothing_is_deleted_and_nothing_recorded(deleting: Deleting) -> None:
    deleting.copies_made(3)
    with deleting.offsite.world.watched() as types:
        assert deleting.collect().plan.is_empty
    assert types == []


def test_retention_condemns_first_and_deletes_after_the_grace(deleting: Deleting) -> None:
    """Old copies go with their packs; the newest ones restore; the ledger says each step."""
    deleting.set(keep=2)
    deleting.copies_made(5)
    packs = set(deleting.offsite.objects("packs/"))
    with deleting.offsite.world.watched() as types:
        deleting.collect()
    assert types[0] == ROUND[0]
    assert types[-1] == ROUND[1]
    assert types.count("backup_offsite.copy_deletion_started") == 3
    assert deleting.with_status("deleting") == [f"backup-0{number}.db" for number in (1, 2, 3)]
    assert set(deleting.offsite.objects("packs/")) == packs
    assert deleting.require_restorable() == 2

    world = deleting.offsite.world
    condemned = {name for each in world.recorded(PacksCondemned) for name in each.packs}
    assert condemned
    world.advance(hours=23)
    assert deleting.collect().plan.is_empty
    world.advance(hours=2)
    done = deleting.collect()
    assert done.claim is not None
    assert (done.claim.copies_deleted, done.claim.packs_deleted) == (3, len(condemned))
    left = {each.rpartition("/")[2] for each in deleting.offsite.objects("packs/")}
    assert left == {each.rpartition("/")[2] for each in packs} - condemned
    assert len(deleting.offsite.objects("copies/")) == 4
    assert deleting.require_restorable() == 2
    assert [each.reason for each in world.recorded(CopyDeleted)] == ["retention"] * 3
    assert [each.rule for each in world.recorded(CopyDeletionStarted)] == ["keep 2"] * 3
    assert {name for each in world.recorded(PacksDeleted) for name in each.packs} == condemned
    assert len(world.recorded(PacksDeletionStarted)) == 1
    assert world.recorded(CollectCompleted)[-1].deleted_bytes > 0
    assert leases_of_collects(deleting) == []
    assert deleting.offsite.nas.condemned == {}


def test_a_dry_run_says_the_same_and_changes_nothing(deleting: Deleting) -> None:
    deleting.set(keep=1)
    deleting.copies_made(3)
    before = deleting.offsite.objects()
    with deleting.offsite.world.watched() as types:
        planned = deleting.collect(dry_run=True)
    assert types == []
    assert deleting.offsite.objects() == before
    done = deleting.collect()
    assert [each.copy.filename for each, _ in planned.plan.copies] == [
        each.copy.filename for each, _ in done.plan.copies
    ]
    assert planned.condemned_packs == done.condemned_packs > 0


def test_a_condemned_copy_is_not_restored_from(deleting: Deleting) -> None:
    deleting.set(keep=1)
    backup = deleting.offsite.backup("first")
    deleting.copy()
    deleting.offsite.world.advance(days=1)
    deleting.copies_made(1)
    deleting.collect()
    with pytest.raises(CopyUnknown):
        newest_copy(deleting.offsite.world.site, backup)


def test_a_held_backups_copy_stays(deleting: Deleting) -> None:
    deleting.set(keep=1)
    world = deleting.offsite.world
    backup = deleting.offsite.backup("held")
    deleting.copy()
    place_hold(world.site, world.context(), backup.filename, "a lawsuit")
    world.advance(days=1)
    deleting.copies_made(2)
    deleting.collect_until_done()
    assert "held.db" in deleting.with_status("ok")


def test_what_retention_deleted_is_not_copied_again(deleting: Deleting) -> None:
    deleting.set(keep=1)
    deleting.copies_made(3)
    deleting.collect_until_done()
    deleting.copy()
    assert deleting.with_status("ok") == ["backup-03.db"]


def test_a_pack_that_no_copy_names_goes_once_it_was_seen_for_a_grace(deleting: Deleting) -> None:
    deleting.copies_made(1)
    content = b"left by a copy that was killed"
    name = sha256(content).hexdigest()
    path = f"packs/{name[:2]}/{name}"
    deleting.offsite.store.put(path, content)
    assert deleting.collect().condemned_packs == 0
    deleting.offsite.world.advance(hours=25)
    assert deleting.collect().condemned_packs == 1
    assert deleting.offsite.store.head(path) is not None
    deleting.offsite.world.advance(hours=25)
    deleting.collect()
    assert deleting.offsite.store.head(path) is None
    assert [each.reason for each in deleting.offsite.world.recorded(PacksCondemned)] == ["orphan"]


def test_names_of_others_are_reported_and_never_touched(deleting: Deleting) -> None:
    deleting.set(keep=1)
    deleting.copies_made(2)
    for path in ("notes.txt", "packs/ab/readme", "other/data"):
        deleting.offsite.store.put(path, b"not ours")
    found = deleting.collect()
    deleting.offsite.world.advance(hours=25)
    deleting.collect()
    assert sorted(found.look.foreign) == ["notes.txt", "other/data", "packs/ab/readme"]
    assert deleting.offsite.store.get("packs/ab/readme") == b"not ours"


@pytest.mark.parametrize("content", [None, b"\0" * 40, b"cut"])
def test_without_the_list_of_a_live_copy_nothing_is_condemned(
    deleting: Deleting, content: bytes | None
) -> None:
    """What it names is not known, so every pack may be one of its."""
    deleting.set(keep=2)
    copies = deleting.copies_made(4)
    path = f"copies/{copies[-1].copy_id}.packs"
    list_of_packs = deleting.offsite.store.get(path)
    deleting.offsite.store.delete(path)
    if content is not None:
        deleting.offsite.store.put(path, content)
    found = deleting.collect()
    assert found.plan.problem is not None
    assert path in found.plan.problem
    assert deleting.offsite.world.recorded(PacksCondemned) == []
    deleting.offsite.store.put(path, list_of_packs)


def test_a_copy_that_this_ledger_does_not_know_stops_deleting(deleting: Deleting) -> None:
    deleting.set(keep=1)
    deleting.copies_made(3)
    deleting.collect()
    deleting.offsite.world.advance(hours=25)
    unknown = "copies/00000000-0000-4000-8000-00000000abcd"
    deleting.offsite.store.put(unknown, b"by a later state of this ledger")
    before = deleting.offsite.objects()
    with pytest.raises(RepositoryAhead, match="adopt --identity"):
        deleting.collect()
    assert deleting.offsite.objects() == before
    (failed,) = deleting.offsite.world.recorded(CollectFailed)
    assert failed.error_type == "RepositoryAhead"
    assert "adopt --identity" in str(deleting.offsite.nas.collect_problem)
    deleting.offsite.store.delete(unknown)
    deleting.collect()
    assert deleting.offsite.nas.collect_problem is None


def test_credentials_that_may_not_delete_are_a_state(
    deleting: Deleting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It condemns and leaves deleting to a machine that may; nothing failed."""
    deleting.set(keep=1)
    deleting.copies_made(3)
    deleting.collect()
    deleting.offsite.world.advance(hours=25)
    site, nas = deleting.offsite.world.site, deleting.offsite.nas

    def refused(store: FolderStore, paths: list[str]) -> None:
        raise DeletionForbidden("403")

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "delete_all", refused)
        done = deleting.collect()
    assert done.claim is not None
    assert done.claim.append_only
    assert is_append_only(site, nas)
    assert deleting.offsite.world.recorded(CollectFailed) == []
    assert deleting.offsite.world.recorded(CopyDeleted) == []
    deleting.collect()
    assert not is_append_only(site, nas)
    assert len(deleting.offsite.world.recorded(CopyDeleted)) == 2


def test_in_a_bucket_with_versions_what_is_deleted_is_hidden(deleting: Deleting) -> None:
    deleting.set(keep=1, versioned=True)
    deleting.copies_made(4)
    deleting.collect_until_done()
    assert deleting.offsite.nas.stated["versioned"] is True
    assert {each.outcome for each in deleting.offsite.world.recorded(PacksDeleted)} == {"hidden"}


def test_while_the_clock_is_in_doubt_nothing_goes(deleting: Deleting) -> None:
    deleting.set(keep=1)
    deleting.copies_made(3)
    deleting.collect()
    world = deleting.offsite.world
    world.advance(days=800)
    before = deleting.offsite.objects()
    done = deleting.collect()
    assert done.plan.clock_doubt is not None
    assert deleting.offsite.objects() == before
    assert world.recorded(CopyDeleted) == []


def test_two_collectors_do_not_delete_at_once(deleting: Deleting) -> None:
    deleting.set(keep=1)
    deleting.copies_made(2)
    world = deleting.offsite.world
    with (
        claimed(world.site, world.context(), deleting.offsite.nas),
        pytest.raises(DestinationConflict, match="already"),
    ):
        deleting.collect()
    deleting.collect()
    assert len(world.recorded(CopyDeletionStarted)) == 1


def test_an_older_ledger_that_is_put_back_meanwhile_deletes_nothing_more(
    deleting: Deleting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event that announced the deletion is read again before each batch."""
    deleting.set(keep=1)
    deleting.copies_made(3)
    deleting.collect()
    world = deleting.offsite.world
    world.advance(hours=25)
    packs = deleting.offsite.objects("packs/")
    announce = collecting.delete_due.__globals__["_begin_deletion"]

    def announced(*arguments: object) -> object:
        witness = announce(*arguments)
        with world.site.ledger.engine.begin() as connection:
            connection.exec_driver_sql("DROP TRIGGER ledger_events_no_update")
            changed = events.update().where(events.c.position == witness.position)
            connection.execute(changed.values(leaf_hash=b"\0" * 32))
        return witness

    with monkeypatch.context() as patched:
        patched.setitem(collecting.delete_due.__globals__, "_begin_deletion", announced)
        with pytest.raises(RepositoryForked, match="another ledger was put in its place"):
            deleting.collect()
    assert deleting.offsite.objects("packs/") == packs


def test_a_removed_destination_is_not_collected_and_resumes_when_added_again(
    deleting: Deleting,
) -> None:
    """What was condemned stays condemned; nothing is deleted while it is removed."""
    deleting.set(keep=1)
    deleting.copies_made(3)
    deleting.collect()
    world, nas = deleting.offsite.world, deleting.offsite.nas
    condemned = nas.condemned
    remove_destination(world.site, world.context(), nas)
    world.advance(hours=25)
    with pytest.raises(DestinationConflict):
        collecting.collect(world.site, world.context(), nas)
    add_destination(world.site, world.context(), deleting.offsite.wanted(settings={"keep": 1}))
    assert deleting.offsite.nas.condemned == condemned
    deleting.collect()
    assert deleting.offsite.nas.condemned == {}
    (status,) = destination_statuses(world.site)
    listed = sum(each.size for each in deleting.offsite.store.list("packs/"))
    live = [each for each in deleting.offsite.copies() if each.status == "ok"]
    assert listed < status.stored_bytes < listed * 1.2 + sum(each.size or 0 for each in live)
    assert not attach_destination(world.site, world.context(), deleting.offsite.nas)


def test_settings_that_contradict_each_other_change_nothing(deleting: Deleting) -> None:
    for changes, message in (
        ({"keep_daily": 7}, "give --keep N as well"),
        ({"keep": 31}, "use 1 to 30"),
        ({"lock_days": 10, "promise_days": 10}, "must be below lock_days"),
    ):
        with pytest.raises(DestinationRefused, match=message):
            deleting.set(**changes)
    assert deleting.offsite.nas.settings == {}
