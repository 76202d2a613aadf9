"""A name is given whole or not at all, never another's, with hard links and without."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from commands.backups.take import take_backup
from commands.recovery.recover import recover
from commands.restore.restore import restore_backup
from commands.sqlite.errors import FileInTheWay, SQLiteFileError
from commands.sqlite.publishing import publish_new
from tests.commands.invariants import require_whole
from tests.commands.world import World, add_case, titles_in


@pytest.fixture(params=["links", "no links"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "no links":
        refuse_links(monkeypatch)
    return str(request.param)


def refuse_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on vfat, exFAT and some network shares."""

    def refuse(src: Any, dst: Any, **_options: Any) -> None:
        if os.path.lexists(dst):
            raise FileExistsError(errno.EEXIST, "File exists", dst)
        raise PermissionError(errno.EPERM, "Operation not permitted", src)

    monkeypatch.setattr(os, "link", refuse)


def test_file_gets_its_name_and_loses_the_other(tmp_path: Path, links: str) -> None:
    finished, final = tmp_path / "finished", tmp_path / "final"
    finished.write_bytes(b"content")
    publish_new(finished, final)
    assert final.read_bytes() == b"content"
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


def test_file_in_the_way_is_left_alone(tmp_path: Path, links: str) -> None:
    finished, final = tmp_path / "finished", tmp_path / "final"
    finished.write_bytes(b"content")
    final.write_bytes(b"mine")
    with pytest.raises(FileInTheWay, match="final already exists"):
        publish_new(finished, final)
    assert (finished.read_bytes(), final.read_bytes()) == (b"content", b"mine")


def test_folder_gets_its_name_too(tmp_path: Path, links: str) -> None:
    finished, final = tmp_path / "finished", tmp_path / "final"
    finished.mkdir()
    (finished / "one").touch()
    publish_new(finished, final)
    assert [path.name for path in final.iterdir()] == ["one"]
    again = tmp_path / "again"
    again.mkdir()
    with pytest.raises(FileInTheWay):
        publish_new(again, final)


def test_failed_rename_leaves_no_empty_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without links the name is taken first; it is given back."""
    refuse_links(monkeypatch)
    finished, final = tmp_path / "finished", tmp_path / "final"
    finished.write_bytes(b"content")

    def full(_one: Any, _other: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", full)
        with pytest.raises(SQLiteFileError, match="Input/output error"):
            publish_new(finished, final)
    assert [path.name for path in tmp_path.iterdir()] == ["finished"]


def test_name_that_a_kill_left_empty_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_links(monkeypatch)
    finished, final = tmp_path / "finished", tmp_path / "final"
    finished.write_bytes(b"content")
    final.touch()
    publish_new(finished, final)
    assert final.read_bytes() == b"content"


@pytest.mark.slow
def test_backups_and_restores_work(world: World, links: str, tmp_path: Path) -> None:
    """Take, restore, restore elsewhere; the folder is whole and nothing is left over."""
    site, context = world.site, world.context()
    take_backup(site, context, filename="one.db")
    before = titles_in(world.database)
    add_case(world.database, "later")
    look = tmp_path / "look.db"
    restore_backup(site, context, "one.db", to=look)
    assert titles_in(look) == before
    restore_backup(site, context, "one.db")
    assert titles_in(world.database) == before
    assert world.staged() == []
    assert [path.name for path in tmp_path.glob(".backup-ledger*")] == []
    require_whole(site)


def test_published_copy_is_not_published_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the name and the removal of the staged file: the same bytes are done."""
    refuse_links(monkeypatch)
    site, context = world.site, world.context()
    backup = take_backup(site, context, filename="one.db")
    left = site.store.staging / "gone-1-abc" / backup.backup_id
    left.parent.mkdir()
    left.write_bytes((world.backups / "one.db").read_bytes())
    recover(site)
    assert world.files() == {"one.db"}
    assert world.staged() == []
    require_whole(site)


def test_name_of_a_backup_that_a_kill_left_empty_is_taken_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is moved away and nothing adopted: it was ours."""
    site, context = world.site, world.context()
    backup = take_backup(site, context, filename="one.db")
    left = site.store.staging / "gone-1-abc" / backup.backup_id
    left.parent.mkdir()
    (world.backups / "one.db").rename(left)
    (world.backups / "one.db").touch()
    refuse_links(monkeypatch)
    recover(site)
    assert world.files() == {"one.db"}
    require_whole(site)
