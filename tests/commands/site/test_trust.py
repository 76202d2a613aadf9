"""Whose folder and whose settings: nobody else decides what is done in one's name."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import BackupService
from commands.errors import InvalidArgument, Refused
from commands.site.configuration import Configuration, load_configuration
from commands.site.opening import begin, open_site
from commands.site.ownership import require_own_folders
from commands.sqlite.errors import SQLiteFileError
from commands.sqlite.foreign_locks import MAGIC
from commands.sqlite.permissions import belongings_of
from commands.sqlite.replacement import rename_into_place
from ledger.clock import ManualClock
from tests.commands.world import MIDNIGHT, World, make_database

NOBODY = 65_534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("BACKUP_LEDGER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def settings(path: Path, mode: int) -> Path:
    path.write_text("lease_seconds = 77\n")
    path.chmod(mode)
    return path


def test_own_settings_are_read(tmp_path: Path) -> None:
    settings(tmp_path / "backup-ledger.toml", 0o644)
    assert load_configuration().lease_seconds == 77


def test_settings_that_anybody_can_write_are_refused(tmp_path: Path) -> None:
    settings(tmp_path / "backup-ledger.toml", 0o666)
    with pytest.raises(InvalidArgument, match="others can write"):
        load_configuration()


@as_root
def test_settings_of_another_account_are_refused(tmp_path: Path) -> None:
    """As in /tmp, or in a folder that somebody asked one to look into."""
    path = settings(tmp_path / "backup-ledger.toml", 0o644)
    os.chown(path, NOBODY, NOBODY)
    with pytest.raises(InvalidArgument, match="belongs to another account"):
        load_configuration()


def test_settings_from_another_file(tmp_path: Path) -> None:
    """--config; a file that is not there is an error, not an empty one."""
    path = settings(tmp_path / "other.toml", 0o600)
    assert load_configuration(config=path).lease_seconds == 77
    with pytest.raises(InvalidArgument, match="there is no configuration file"):
        load_configuration(config=tmp_path / "none.toml")


@as_root
def test_root_does_not_act_in_the_folder_of_another_account(tmp_path: Path) -> None:
    """The message names the account; who trusts it says so."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    chosen = {"database": folder / "app.db", "backups": tmp_path / "backups"}
    with pytest.raises(Refused, match="sudo -u"):
        require_own_folders(Configuration(**chosen))
    require_own_folders(Configuration(**chosen, root_in_folders_of_others=True))
    os.chown(folder, 0, 0)
    require_own_folders(Configuration(**chosen))
    folder.chmod(0o777)
    with pytest.raises(Refused, match="anyone can write"):
        require_own_folders(Configuration(**chosen))


@as_root
def test_no_way_in_leads_root_into_the_folder_of_another_account(tmp_path: Path) -> None:
    """Opening to act, beginning, and the facade; nothing is made. A question is answered."""
    world = World(tmp_path, ManualClock(MIDNIGHT))
    make_database(world.database)
    world.configure(1)
    world.close()
    world.backups.chmod(0o755)
    os.chown(world.backups, NOBODY, NOBODY)
    before = sorted(path.name for path in world.backups.iterdir())
    configuration = Configuration(database=world.database)
    ways: list[Callable[[], object]] = [
        lambda: open_site(configuration, "act"),
        lambda: open_site(configuration, "begin"),
        lambda: begin(configuration, world.clock),
        lambda: BackupService(world.database).create_backup(),
    ]
    for way_in in ways:
        with pytest.raises(PermissionError, match="another account's folder"):
            way_in()
    assert sorted(path.name for path in world.backups.iterdir()) == before
    open_site(configuration, "read").close()


@pytest.mark.parametrize("name", ["ledger.sqlite", "projections.sqlite"])
def test_no_journal_beside_our_files_deletes_another_file(tmp_path: Path, name: str) -> None:
    """SQLite would roll it back and delete what it names, for whoever only asks."""
    world = World(tmp_path, ManualClock(MIDNIGHT))
    make_database(world.database)
    world.configure(1)
    world.close()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    named = os.fsencode(victim)
    numbers = struct.pack(">II", len(named), sum(named) & 0xFFFFFFFF)
    trailer = struct.pack(">I", 0x40000000 // 4096 + 1) + named + numbers
    (world.backups / f"{name}-journal").write_bytes(b"\0" * 512 + trailer + MAGIC)
    with pytest.raises(SQLiteFileError, match="names another file"):
        open_site(Configuration(database=world.database), "read")
    assert victim.read_text() == "precious"


@as_root
@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_link_in_the_place_of_a_staged_file_gives_nothing_away(tmp_path: Path, kind: str) -> None:
    """Neither owner nor mode of what it names is changed."""
    victim = tmp_path / "victim"
    victim.write_text("secret")
    victim.chmod(0o600)
    target = tmp_path / "app.db"
    target.write_text("old")
    target.chmod(0o644)
    os.chown(target, NOBODY, NOBODY)
    staged = tmp_path / "staged"
    (os.symlink if kind == "symbolic" else os.link)(victim, staged)
    with pytest.raises(SQLiteFileError):
        rename_into_place(staged, target, belongings_of(target))
    found = victim.stat()
    assert (found.st_uid, found.st_mode & 0o777) == (0, 0o600)
    assert target.read_text() == "old"
