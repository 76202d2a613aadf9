"""A backups folder that is gone, or unmounted, while a process runs."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from commands.backups.delete import delete_backup
from commands.backups.take import take_backup
from commands.backups.unrecorded import unrecorded_files, without_gone
from commands.errors import StoreUnknown, exit_code_of
from commands.recovery.reconcile import reconcile
from commands.scheduler.check import CheckReport
from commands.sqlite.connections import require_database_file
from commands.sqlite.errors import FolderMissing, SourceMissing
from commands.sqlite.files import create_private, file_error
from ledger.events.catalog import BackupDeleted, BackupMissing
from ledger.events.scheduling import BackupFailed
from tests.commands.conftest import MakeWorld
from tests.commands.world import World


@pytest.fixture
def apart(make_world: MakeWorld, tmp_path: Path) -> World:
    """Ledger and read models are on another disk than the backups."""
    world = make_world(
        ledger=str(tmp_path / "ledger.sqlite"), projections=str(tmp_path / "models.sqlite")
    )
    world.configure()
    take_backup(world.site, world.context(), filename="one")
    return world


def unmount(world: World, *, mount_point: bool) -> None:
    world.backups.rename(world.folder / "disk")
    if mount_point:
        world.backups.mkdir()


@pytest.mark.parametrize("mount_point", [False, True])
def test_backup_into_a_folder_that_is_gone_says_so(apart: World, mount_point: bool) -> None:
    """The database is there: it must not be what is said to be missing."""
    unmount(apart, mount_point=mount_point)
    with pytest.raises(FolderMissing, match="mounted") as missing:
        take_backup(apart.site, apart.context(), filename="two")
    assert str(apart.backups) in str(missing.value)
    assert exit_code_of(missing.value) == 4


@pytest.mark.parametrize("mount_point", [False, True])
def test_failed_run_is_recorded_with_that_reason(apart: World, mount_point: bool) -> None:
    """A log that says SourceMissing would send people to the wrong disk."""
    apart.due_again()
    unmount(apart, mount_point=mount_point)
    assert apart.check() == CheckReport(failed=1)
    (failed,) = apart.recorded(BackupFailed)
    assert failed.error_type == "FolderMissing"


@pytest.mark.parametrize("mount_point", [False, True])
def test_nothing_is_missing_or_deleted_in_a_folder_that_is_not_there(
    apart: World, mount_point: bool
) -> None:
    """An empty mount point holds none of the files, and says nothing about them."""
    unmount(apart, mount_point=mount_point)
    with pytest.raises(StoreUnknown, match="mounted"):
        reconcile(apart.site, apart.context())
    with pytest.raises(StoreUnknown, match="mounted"):
        delete_backup(apart.site, apart.context(), "one.db")
    assert apart.recorded(BackupMissing) == []
    assert apart.recorded(BackupDeleted) == []
    present = apart.present()
    assert without_gone(apart.site, present) == (present, [])
    assert unrecorded_files(apart.site) == []
    if mount_point:
        apart.backups.rmdir()
    (apart.folder / "disk").rename(apart.backups)
    reconcile(apart.site, apart.context())  # the delete that was announced is finished
    assert len(apart.recorded(BackupDeleted)) == 1


def test_files_tell_a_missing_folder_from_a_missing_file(tmp_path: Path) -> None:
    """The uppermost folder that is not there is the one to look after."""
    with pytest.raises(FolderMissing, match="gone; check the path") as missing:
        create_private(tmp_path / "gone" / "deeper" / "file")
    assert "deeper" not in str(missing.value)
    no_file = file_error(FileNotFoundError(errno.ENOENT, "no"), tmp_path / "file")
    assert isinstance(no_file, SourceMissing)
    stale = file_error(OSError(errno.ESTALE, "stale"), tmp_path / "file")
    assert isinstance(stale, FolderMissing)
    with pytest.raises(SourceMissing, match="nor its folder"):
        require_database_file(tmp_path / "gone" / "app.db")
