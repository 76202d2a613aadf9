"""The marker beside a database: an unmounted folder is not a new beginning."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from commands.errors import StoreUnknown, exit_code_of
from commands.health.facts import status_facts
from commands.site.configuration import Configuration
from commands.site.marker import Marker, marker_path, marker_problem, read_marker, write_marker
from commands.site.opening import begin
from tests.commands.world import World, make_database, mode_of

OTHER = Marker("00000000-0000-4000-8000-000000000000", "/mnt/backups/ledger.sqlite")


def unmount(world: World) -> None:
    """The file system with the backups is gone; its mount point is an empty folder."""
    world.close()
    world.backups.rename(world.folder / "elsewhere")
    world.backups.mkdir()


def test_beginning_writes_the_marker(world: World) -> None:
    """Id and place of the ledger; readable to every account that may act on the database."""
    world.open()
    path = world.folder / ".app.db.backup-ledger"
    assert marker_path(world.database) == path
    assert json.loads(path.read_text()) == {
        "ledger_id": world.site.ledger.meta.ledger_id,
        "ledger": world.site.marker.ledger,
    }
    assert mode_of(path) == 0o644
    assert sorted(each.name for each in world.folder.glob(".app.db*")) == [path.name]


def test_folder_of_0_1_0_gets_it_with_its_first_act(world: World) -> None:
    """Not with a question."""
    world.open()
    world.close()
    marker_path(world.database).unlink()
    world.open("read")
    assert read_marker(world.database) is None
    world.open("act")
    assert read_marker(world.database) == world.site.marker


def test_nothing_begins_where_the_marked_ledger_is_absent(world: World) -> None:
    """Exit 1, naming its place and what to do; the empty folder stays empty."""
    world.open()
    place = world.site.marker.ledger
    unmount(world)
    if not Path(place).is_absolute():
        pytest.skip("the ledger on a server is still there")
    with pytest.raises(StoreUnknown, match="ledger init --new") as refused:
        world.open("begin")
    assert exit_code_of(refused.value) == 1
    assert place in str(refused.value)
    assert list(world.backups.iterdir()) == []


def test_nothing_begins_where_another_ledger_is_marked(world: World) -> None:
    """A typing error in --backups makes no second history."""
    world.open()
    with pytest.raises(StoreUnknown, match=str(world.backups)):
        world.open("begin", backups=world.folder / "typo")
    assert not (world.folder / "typo").exists()


def test_empty_folder_without_a_marker_begins(world: World) -> None:
    """Mount or not: somebody has to be able to begin."""
    world.backups.mkdir()
    assert world.open("begin").is_new


def test_person_may_begin_anew(world: World) -> None:
    """`ledger init --new`; the marker then names the new one."""
    world.open()
    first = world.site.ledger.meta.ledger_id
    unmount(world)
    begin(Configuration(database=world.database), world.clock, new=True)
    second = world.open("act", ledger=None, projections=None)
    assert second.ledger.meta.ledger_id != first
    assert read_marker(world.database) == second.marker


def test_marker_follows_a_folder_that_moved(world: World) -> None:
    """The same ledger at another place."""
    world.open()
    world.close()
    moved = world.folder / "moved"
    shutil.move(world.backups, moved)
    site = world.open("act", backups=moved)
    assert read_marker(world.database) == site.marker


def test_marker_of_another_ledger_is_left_and_said(world: World) -> None:
    """Two ledgers for one database: a person has to look."""
    world.open()
    write_marker(world.database, OTHER)
    site = world.reopen()
    assert read_marker(world.database) == OTHER
    assert any(OTHER.ledger in each for each in status_facts(site, world.clock.now())["warnings"])


def test_marker_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps no command from its work, but `status` says what is missing."""
    database = make_database(tmp_path / "app.db")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot be written" in str(marker_problem(database, OTHER))
    monkeypatch.undo()
    assert marker_problem(database, OTHER) is None  # the next command writes it
    write_marker(database, OTHER)
    assert marker_problem(database, OTHER) is None


@pytest.mark.parametrize("content", [b"", b"[]", b"not json", b'{"ledger_id": 1}', None])
def test_something_else_in_its_place_is_never_overwritten(
    world: World, content: bytes | None
) -> None:
    """Nor followed, where it is a link; nothing begins, and whoever acts goes on."""
    path = marker_path(world.database)
    if content is None:
        path.symlink_to(world.database)
    else:
        path.write_bytes(content)
    with pytest.raises(StoreUnknown, match=path.name):
        world.open("begin")
    path.rename(world.folder / "aside")
    world.open("begin")
    world.close()
    path.unlink()
    (world.folder / "aside").rename(path)
    site = world.open("act")
    assert site.configuration.database is not None
    assert path.is_symlink() if content is None else path.read_bytes() == content
    assert any(path.name in each for each in status_facts(site, world.clock.now())["warnings"])


def test_name_that_is_too_long_for_a_marker_stops_nothing(world: World) -> None:
    """The database's name takes all that a name may have."""
    path = make_database(world.folder / ("n" * 240 + ".db"))
    site = world.open("begin", database=path, backups=world.folder / "long")
    assert site.known_source_id() is not None
