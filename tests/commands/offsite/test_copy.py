"""Copying: what is sent, what counts, and what a failure leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from commands.backups.delete import delete_backup
from commands.errors import Refused
from commands.offsite import copy as copying
from commands.offsite.abandoned import abandon_dead_copies
from commands.offsite.change import remove_destination
from commands.offsite.copy_all import copy_missing
from commands.offsite.due import missing_backups, sweep_failed_copies
from commands.offsite.errors import (
    CopyDropped,
    DestinationConflict,
    DestinationUnreachable,
    RepositoryForked,
)
from commands.offsite.worker.run import run_copy
from commands.offsite.worker.send import BackupChangedError
from commands.recovery.recover import recover
from ledger.append.leases_and_names import all_leases
from ledger.append.tables import leases
from ledger.errors import LeaseLost
from ledger.events.catalog import BackupCorrupt
from ledger.events.offsite import (
    CopyAbandoned,
    CopyCompleted,
    CopyFailed,
    CopyStarted,
    PacksFound,
    PacksMissing,
)
from tests.commands.offsite.conftest import RECIPIENTS, MakeOffsite, Offsite
from tests.commands.world import add_case


def leases_of_copies(offsite: Offsite) -> list[str]:
    with offsite.world.site.ledger.engine.connect() as connection:
        return [each.run_id for each in all_leases(connection, "copy")]


def interrupted_after_sending(*arguments: Any) -> Any:
    run_copy(*arguments)
    raise KeyboardInterrupt


def test_a_copy_that_a_person_interrupts_leaves_nothing_half_done(
    offsite: Offsite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a failure like others: recorded at once, and what was sent is used next time."""
    backup = offsite.backup("one")
    with monkeypatch.context() as patched:
        patched.setattr(copying, "run_copy", interrupted_after_sending)
        with pytest.raises(KeyboardInterrupt):
            offsite.copy(backup)
    assert leases_of_copies(offsite) == []
    assert offsite.objects("copies/") == []
    assert offsite.copy(backup).new_pages == 0


def test_a_copy_is_two_facts_and_three_objects(offsite: Offsite) -> None:
    """Its claim, its commit point; a pack, a list, a manifest; and no lease is left."""
    backup = offsite.backup("one")
    with offsite.world.watched() as types:
        copy = offsite.copy(backup)
    assert types == ["backup_offsite.copy_started", "backup_offsite.copy_completed"]
    assert copy.status == "ok"
    assert (copy.size, copy.sha256) == (backup.size, backup.sha256)
    assert copy.readable_by == list(RECIPIENTS)
    assert len(offsite.objects("packs/")) == copy.packs == 1
    assert offsite.objects("copies/") == [
        f"copies/{copy.copy_id}",
        f"copies/{copy.copy_id}.packs",
    ]
    assert leases_of_copies(offsite) == []
    assert offsite.world.staged() == []


def test_what_is_there_is_not_sent_again(offsite: Offsite) -> None:
    """An unchanged database costs a manifest; a changed row costs its pages."""
    first = offsite.copy(offsite.backup("one"))
    second = offsite.copy(offsite.backup("two"))
    assert (second.new_pages, second.packs) == (0, 1)
    assert first.sent_bytes is not None
    assert second.sent_bytes is not None
    add_case(offsite.world.database, "a new one")
    third = offsite.copy(offsite.backup("three"))
    assert third.new_pages is not None
    assert 0 < third.new_pages <= 3


def test_a_lost_index_costs_bytes_and_nothing_else(offsite: Offsite) -> None:
    offsite.copy(offsite.backup("one"))
    folder = offsite.world.backups / ".offsite" / offsite.nas.repository_id
    for each in folder.glob("index.sqlite*"):
        each.unlink()
    copy = offsite.copy(offsite.backup("two"))
    assert copy.new_pages == copy.pages


@pytest.mark.parametrize("content", [b"", b"nonsense", b"SQLite format 3\0" + b"\xff" * 5000])
def test_an_index_that_cannot_be_read_is_begun_anew(offsite: Offsite, content: bytes) -> None:
    offsite.copy(offsite.backup("one"))
    folder = offsite.world.backups / ".offsite" / offsite.nas.repository_id
    for each in folder.glob("index.sqlite-*"):
        each.unlink()
    (folder / "index.sqlite").write_bytes(content)
    assert offsite.copy(offsite.backup("two")).status == "ok"


def test_a_backup_that_changed_on_the_disk_is_corrupt_and_not_copied(offsite: Offsite) -> None:
    """The copy fails, the backup is recorded as corrupt, nothing that names it is left there."""
    backup = offsite.backup("one")
    path = offsite.world.backups / backup.filename
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BackupChangedError):
        offsite.copy(backup)
    assert [each.error_type for each in offsite.world.recorded(CopyFailed)] == [
        "BackupChangedError"
    ]
    assert len(offsite.world.recorded(BackupCorrupt)) == 1
    assert offsite.objects("copies/") == []


def test_a_backup_that_is_being_copied_is_not_deleted(
    offsite: Offsite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By nobody, by force neither; afterwards it is."""
    backup, site = offsite.backup("one"), offsite.world.site

    def meddling(*arguments: Any) -> Any:
        with pytest.raises(Refused, match="copied off-site"):
            delete_backup(site, offsite.world.context(), backup.filename, force=True)
        return run_copy(*arguments)

    monkeypatch.setattr(copying, "run_copy", meddling)
    offsite.copy(backup)
    delete_backup(site, offsite.world.context(), backup.filename)


def test_a_copy_that_lost_its_lease_is_not_completed(
    offsite: Offsite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever judged it dead was right: the objects go, the next try makes another copy."""
    backup = offsite.backup("one")

    def losing(*arguments: Any) -> Any:
        result = run_copy(*arguments)
        with offsite.world.site.ledger.locked() as locked:
            locked.connection.execute(leases.delete())
        return result

    with monkeypatch.context() as patched:
        patched.setattr(copying, "run_copy", losing)
        with pytest.raises(LeaseLost):
            offsite.copy(backup)
    assert offsite.world.recorded(CopyCompleted) == []
    assert offsite.objects("copies/") == []
    assert offsite.copy(backup).new_pages == 0  # its packs are there


def test_a_destination_that_is_removed_while_a_copy_runs_gets_no_copy(
    offsite: Offsite, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup, nas, world = offsite.backup("one"), offsite.nas, offsite.world

    def removing(*arguments: Any) -> Any:
        result = run_copy(*arguments)
        remove_destination(world.site, world.context(), nas)
        return result

    monkeypatch.setattr(copying, "run_copy", removing)
    with pytest.raises((LeaseLost, DestinationConflict)):
        offsite.copy(backup)
    assert world.recorded(CopyCompleted) == []
    assert len(world.recorded(CopyAbandoned)) == 1


def test_a_killed_copy_is_abandoned_swept_and_made_again(
    offsite: Offsite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new process finds the claim of one that is gone, which recorded nothing any more."""
    backup = offsite.backup("one")
    with monkeypatch.context() as patched:
        patched.setattr(copying, "run_copy", interrupted_after_sending)
        patched.setattr(copying, "_fail", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            offsite.copy(backup)
    assert len(leases_of_copies(offsite)) == 1
    world = offsite.world
    (world.site.owner.folder / "left").touch()  # a killed process does not clear its folder
    world.reopen()
    recover(world.site)
    assert len(world.recorded(CopyAbandoned)) == 1
    assert leases_of_copies(offsite) == []
    assert abandon_dead_copies(world.site, world.context()) == 0
    assert sweep_failed_copies(world.site, offsite.nas) == []
    assert offsite.objects("copies/") == []
    assert [each.filename for each in missing_backups(world.site, offsite.nas)] == ["one.db"]
    assert offsite.copy(backup).new_pages == 0


def test_two_copies_of_one_backup_at_once_are_one(
    offsite: Offsite, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = offsite.backup("one")

    def again(*arguments: Any) -> Any:
        with pytest.raises(CopyDropped, match="being copied"):
            offsite.copy(backup)
        return run_copy(*arguments)

    monkeypatch.setattr(copying, "run_copy", again)
    offsite.copy(backup)
    assert len(offsite.world.recorded(CopyStarted)) == 1


def test_packs_that_are_gone_are_sent_again_and_recorded(offsite: Offsite) -> None:
    """And when they come back, that too."""
    first = offsite.copy(offsite.backup("one"))
    (pack,) = offsite.objects("packs/")
    content = offsite.store.get(pack)
    offsite.store.delete(pack)
    second = offsite.copy(offsite.backup("two"))
    assert second.new_pages == first.pages
    (missing,) = offsite.world.recorded(PacksMissing)
    assert missing.packs == [pack.rpartition("/")[2]]
    assert offsite.nas.missing_packs == missing.packs
    offsite.store.put(pack, content)
    offsite.copy(offsite.backup("three"))
    assert [each.packs for each in offsite.world.recorded(PacksFound)] == [missing.packs]
    assert offsite.nas.missing_packs == []


def test_a_disk_that_is_not_mounted_is_noticed_and_nothing_is_made_there(
    offsite: Offsite, tmp_path: Path
) -> None:
    backup = offsite.backup("one")
    away = offsite.folder.rename(tmp_path / "away")
    with pytest.raises(DestinationUnreachable, match="mounted"):
        offsite.copy(backup)
    assert not offsite.folder.exists()
    offsite.folder.mkdir()
    with pytest.raises(RepositoryForked, match="mounted"):
        offsite.copy(backup)
    assert list(offsite.folder.iterdir()) == []
    offsite.folder.rmdir()
    away.rename(offsite.folder)
    assert offsite.copy(backup).status == "ok"


def test_one_destinations_trouble_does_not_stop_another(
    make_offsite: MakeOffsite, tmp_path: Path
) -> None:
    """Each failure is recorded, and the backup itself is as good as before."""
    offsite = make_offsite()
    offsite.add()
    offsite.add(name="usb", url=f"file://{tmp_path}/usb")
    offsite.backup("one")
    offsite.folder.rename(tmp_path / "away")
    world = offsite.world
    outcomes = copy_missing(world.site, world.context())
    assert [(each.destination.name, each.error is None) for each in outcomes] == [
        ("nas", False),
        ("usb", True),
    ]
    assert [each.error_type for each in world.recorded(CopyFailed)] == ["DestinationUnreachable"]


def test_names_with_spaces_and_unicode_are_names(offsite: Offsite) -> None:
    assert offsite.copy(offsite.backup("größte Sicherung 2025 \U0001f4be")).status == "ok"


def test_copies_oldest_first_and_only_what_is_missing(offsite: Offsite) -> None:
    names = ["c", "a", "b"]
    for name in names:
        offsite.backup(name)
    world = offsite.world
    outcomes = copy_missing(world.site, world.context())
    assert [each.backup.filename for each in outcomes] == [f"{name}.db" for name in names]
    assert copy_missing(world.site, world.context()) == []
