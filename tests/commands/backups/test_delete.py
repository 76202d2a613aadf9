"""Deleting by hand: announced, unlinked, recorded; one guard for every way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from commands.backups import delete as module
from commands.backups.delete import delete_backup
from commands.backups.hold import place_hold
from commands.backups.take import take_backup
from commands.errors import BackupNotFound, InvalidArgument, Refused, exit_code_of
from commands.recovery.reconcile import reconcile
from commands.scheduler.check import check
from ledger.append.ledger import Draft
from ledger.events.catalog import BackupDeleted, DeletionStarted
from ledger.events.restoring import RestoreStarted
from ledger.events.retention import DeletionFailed
from ledger.vocabulary import BackupKind, restore_stream
from tests.commands.invariants import require_whole
from tests.commands.world import World


@pytest.fixture
def one(world: World) -> World:
    take_backup(world.site, world.context(), filename="one.db", user_id=5)
    return world


def test_delete_is_announced_before_and_recorded_after(one: World) -> None:
    """Both events say who, why, and that nobody forced it; the owner stays the owner."""
    context = one.context()
    with one.watched() as types:
        delete_backup(one.site, context, "one.db")
    assert types == ["backup_catalog.deletion_started", "backup_catalog.backup_deleted"]
    (started,), (deleted,) = one.events_of(DeletionStarted), one.events_of(BackupDeleted)
    assert started.details.owner == one.site.instance
    assert (started.details.reason, deleted.details.reason) == ("person", "person")
    assert (started.details.forced, deleted.details.rule) == (False, None)
    assert {started.correlation_id, deleted.correlation_id} == {context.correlation_id}
    assert (deleted.user_id, deleted.actor.kind) == ("5", "operator")
    assert one.files() == set()
    require_whole(one.site)


def test_last_good_backup_may_go_if_a_person_names_it(one: World) -> None:
    """Only retention and clean-ups are kept from that."""
    delete_backup(one.site, one.context(), "one.db")
    assert one.present() == []


def test_protected_backup_needs_force_and_says_so(world: World) -> None:
    """Refused: recorded, exit 1, a PermissionError; forced: recorded as forced."""
    name = take_backup(world.site, world.context(), kind=BackupKind.PRE_MIGRATION).filename
    with pytest.raises(Refused, match="force") as refused:
        delete_backup(world.site, world.context(), name)
    assert exit_code_of(refused.value) == 1
    assert isinstance(refused.value, PermissionError)
    (event,) = world.events_of(DeletionFailed)
    assert (event.details.filename, event.details.error_type) == (name, "Refused")
    assert event.stream == "retention/global"
    delete_backup(world.site, world.context(), name, force=True)
    assert world.recorded(BackupDeleted)[0].forced


def test_backup_that_is_being_restored_stays(one: World) -> None:
    """Refused to all, forced or not."""
    (backup,) = one.present()
    details = RestoreStarted(
        backup_id=backup.backup_id,
        pre_restore_backup_id=None,
        mode="transaction",
        target="/somewhere",
        sha256=backup.sha256,
        forced=False,
        tables=None,
        owner=one.site.owner.name,
        target_schema_version=1,
        target_sha256=None,
    )
    draft = Draft(restore_stream("00000000-0000-4000-8000-000000000000"), details)
    one.site.ledger.append(one.context(), draft)
    with pytest.raises(Refused, match="restored"):
        delete_backup(one.site, one.context(), "one.db", force=True)
    assert one.files() == {"one.db"}


def test_unknown_and_deleted_names_are_not_found(one: World) -> None:
    """Exit 4, a FileNotFoundError; nothing is recorded."""
    delete_backup(one.site, one.context(), "one.db")
    for name in ("one.db", "two.db"):
        with one.watched() as types, pytest.raises(BackupNotFound) as missing:
            delete_backup(one.site, one.context(), name)
        assert exit_code_of(missing.value) == 4
        assert types == []


@pytest.mark.parametrize("name", ["../one.db", "a\0b", "", "a\\b"])
def test_what_is_no_plain_name_is_refused(one: World, name: str) -> None:
    """A matter of usage; nothing outside the folder is ever looked at."""
    with one.watched() as types, pytest.raises(InvalidArgument) as refused:
        delete_backup(one.site, one.context(), name)
    assert exit_code_of(refused.value) == 2
    assert types == []


def test_name_of_a_deleted_backup_is_free_again(one: World) -> None:
    """It is freed with backup_deleted, not before."""
    delete_backup(one.site, one.context(), "one.db")
    again = take_backup(one.site, one.context(), filename="one.db")
    delete_backup(one.site, one.context(), "one.db")
    assert [event.resource_id for event in one.events_of(BackupDeleted)][1] == again.backup_id


def test_missing_backup_can_be_deleted(one: World) -> None:
    """Its entry goes; there is no file to unlink."""
    (one.backups / "one.db").unlink()
    reconcile(one.site, one.context())
    delete_backup(one.site, one.context(), "one.db")
    require_whole(one.site)


def test_deleting_one_of_a_shared_file_leaves_the_others(world: World) -> None:
    """Entries on one inode are links of their own."""
    for user_id in (1, 2, 3):
        world.configure(user_id)
    world.due_again()
    world.check()
    first, *others = sorted(world.present(), key=lambda backup: backup.user_id or 0)
    delete_backup(world.site, world.context(), first.filename)
    left = {(world.backups / backup.filename).stat().st_nlink for backup in others}
    assert left == {2}
    require_whole(world.site)


def test_file_that_cannot_be_unlinked_stays_announced_until_it_can(one: World) -> None:
    """Recorded as an error; the next check finishes it."""
    path = one.backups / "one.db"
    path.unlink()
    path.mkdir()
    (path / "in the way").touch()
    with pytest.raises(OSError, match=r"directory|permitted"):
        delete_backup(one.site, one.context(), "one.db")
    (failed,) = one.recorded(DeletionFailed)
    assert failed.filename == "one.db"
    with pytest.raises(Refused, match="deleting already"):
        delete_backup(one.site, one.context(), "one.db")
    check(one.site)
    assert one.recorded(BackupDeleted) == []
    (path / "in the way").unlink()
    path.rmdir()
    check(one.site)
    assert len(one.recorded(BackupDeleted)) == 1
    require_whole(one.site)


def test_kept_sidecars_go_with_their_backup(one: World) -> None:
    """What stands beside a damaged database's copy is deleted with it."""
    (backup,) = one.present()
    kept = one.site.store.sidecar_folder(backup.backup_id)
    kept.mkdir(parents=True)
    (kept / "database-wal").touch()
    delete_backup(one.site, one.context(), "one.db")
    assert not kept.exists()


def test_placed_hold_wins_against_a_delete_that_has_looked_already(
    one: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision is made under the lock, not on what the read model said before."""
    find = module.find_backup

    def find_then_hold(site: Any, filename: str) -> Any:
        found = find(site, filename)
        place_hold(site, one.context(), filename, "just in time")
        return found

    monkeypatch.setattr(module, "find_backup", find_then_hold)
    with pytest.raises(Refused, match="just in time"):
        delete_backup(one.site, one.context(), "one.db")
    assert Path(one.backups, "one.db").exists()
