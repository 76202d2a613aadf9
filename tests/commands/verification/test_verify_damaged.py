"""What was damaged when it was found never becomes good by having the same bytes."""

from __future__ import annotations

import pytest

from commands.errors import CorruptBackup
from commands.recovery.reconcile import reconcile
from commands.restore.restore import restore_backup
from commands.verification.verify import verify_backup
from ledger.events.catalog import BackupCorrupt
from tests.commands.world import World


def adopted(world: World, data: bytes) -> None:
    site = world.site
    (world.backups / "old.db").write_bytes(data)
    reconcile(site, world.context())


def test_digest_of_a_damaged_adopted_file_proves_nothing(world: World) -> None:
    """It is checked as closely as its content needs, and stays corrupt."""
    adopted(world, b"dear diary " * 100)
    (backup,) = world.present()
    found = verify_backup(world.site, world.context(), backup, "digest")
    assert (found.level, found.is_good) == ("integrity", False)
    assert [each.level for each in world.recorded(BackupCorrupt)] == ["integrity"]
    assert [each.status for each in world.present()] == ["corrupt"]


def test_restore_of_a_damaged_adopted_file_is_refused(world: World) -> None:
    """Forced or not: its digest is right, its content is not a database."""
    adopted(world, b"dear diary " * 100)
    before = world.database.read_bytes()
    with pytest.raises(CorruptBackup, match=r"old\.db"):
        restore_backup(world.site, world.context(), "old.db", force=True)
    assert world.database.read_bytes() == before


def test_header_that_sqlite_would_never_write_is_damage(world: World) -> None:
    """Such a database can be read and not written: an application could not use it."""
    data = world.database.read_bytes()
    adopted(world, data[:18] + b"\xff" + data[19:])
    assert [each.status for each in world.present()] == ["corrupt"]
