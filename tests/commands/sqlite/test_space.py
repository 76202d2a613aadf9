"""Room is looked at before anything is made or touched, and the error says all that one needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.backups.take import take_backup
from commands.restore.plan import plan_restore
from commands.restore.restore import restore_backup
from commands.sqlite.errors import NotEnoughSpace, SourceMissing
from commands.sqlite.space import free_bytes, require_space
from ledger.events.catalog import BackupNotCreated
from ledger.events.restoring import RestoreFailed
from tests.commands.world import World, add_case, titles_in


def test_a_backup_without_room_is_refused_recorded_and_leaves_nothing(world: World) -> None:
    """The error names the folder and both numbers."""
    world.site.free_bytes = lambda _: 1_234
    with pytest.raises(NotEnoughSpace, match=r"has 1234 bytes free, the snapshot needs \d{5,};"):
        take_backup(world.site, world.context())
    assert [each.error_type for each in world.recorded(BackupNotCreated)] == ["NotEnoughSpace"]
    assert world.files() == set()
    assert world.staged() == []


@pytest.mark.slow
def test_a_restore_without_room_touches_nothing(world: World) -> None:
    """Not even the copy that is kept first is made."""
    take_backup(world.site, world.context(), filename="first.db")
    add_case(world.database, "later")
    needed = plan_restore(world.site, "first.db").needed_bytes
    world.site.free_bytes = lambda _: needed - 1
    with pytest.raises(NotEnoughSpace, match=rf"the restore needs {needed}"):
        restore_backup(world.site, world.context(), "first.db")
    assert titles_in(world.database)[-1] == "later"
    assert world.files() == {"first.db"}
    assert [each.error_type for each in world.recorded(RestoreFailed)] == ["NotEnoughSpace"]
    world.site.free_bytes = lambda _: needed
    restore_backup(world.site, world.context(), "first.db")
    assert titles_in(world.database)[-1] != "later"


def test_a_restore_elsewhere_needs_the_backups_size_there(world: World) -> None:
    """The folder of the new file is asked, not that of the database."""
    backup = take_backup(world.site, world.context(), filename="first.db")
    other = world.folder / "other"
    other.mkdir()
    asked: list[Path] = []

    def little(folder: Path) -> int:
        asked.append(folder)
        return backup.size

    world.site.free_bytes = little
    with pytest.raises(NotEnoughSpace, match="other has"):
        restore_backup(world.site, world.context(), "first.db", to=other / "x.db")
    assert asked == [other]
    assert list(other.iterdir()) == []


def test_free_space_of_a_real_folder_is_a_number_and_a_missing_one_an_error(tmp_path: Path) -> None:
    """What is just enough is enough."""
    assert free_bytes(tmp_path) > 0
    require_space(tmp_path, 10, "test", lambda _: 10)
    with pytest.raises(SourceMissing):
        free_bytes(tmp_path / "missing")
