"""A backups folder belongs to one database."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from commands.backups.take import take_backup
from commands.errors import FolderOfAnother, OtherSource, exit_code_of
from commands.restore.plan import plan_restore
from commands.restore.restore import restore_backup
from commands.site.sources import FolderSource
from commands.sqlite.errors import SourceMissing
from ledger.append.ledger import Draft
from ledger.events.housekeeping import SourceMoved, SourceRegistered
from ledger.events.restoring import RestoreCompleted
from ledger.vocabulary import LEDGER_STREAM
from tests.commands.world import World, break_database, make_database, titles_in


def billing(world: World) -> Path:
    """Another application's database beside the first one."""
    path = world.folder / "billing.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bills (amount)")
    return path


def test_source_is_registered_when_the_store_is_made(world: World) -> None:
    """Before any backup: the first event of all."""
    world.open()
    (first,) = world.all_events()
    assert isinstance(first.event.details, SourceRegistered)
    assert first.event.details.path == str(world.database)
    assert world.site.known_source_id() == first.event.details.source
    world.reopen()
    assert len(world.all_events()) == 1


@pytest.mark.parametrize("mode", ["begin", "act"])
def test_another_database_is_refused_with_both_paths(world: World, mode: str) -> None:
    """Exit 5, and nothing is recorded."""
    world.open()
    other = billing(world)
    with pytest.raises(FolderOfAnother) as refused:
        world.open(mode, database=other)  # type: ignore[arg-type]
    assert exit_code_of(refused.value) == 5
    for said in (str(world.database), str(other), str(world.backups), "--backups"):
        assert said in str(refused.value)
    assert len(world.all_events()) == 1


def test_question_about_another_database_is_answered(world: World) -> None:
    """It acts on nothing; the source of the folder is not its own."""
    world.open()
    site = world.open("read", database=billing(world))
    assert site.known_source_id() is None


def test_links_to_the_database_are_the_database(world: World) -> None:
    """A symbolic one, a hard one, and the first path as a link to a new place."""
    world.open()
    source = world.site.known_source_id()
    soft, hard = world.folder / "soft.db", world.folder / "hard.db"
    soft.symlink_to(world.database)
    os.link(world.database, hard)
    for path in (soft, hard):
        assert world.open("act", database=path).known_source_id() == source
    world.close()
    elsewhere = world.folder / "disk" / "app.db"
    elsewhere.parent.mkdir()
    for suffix in ("", "-wal", "-shm"):
        path = world.database.with_name(f"app.db{suffix}")
        if path.exists():
            shutil.move(path, elsewhere.with_name(path.name))
    world.database.symlink_to(elsewhere)
    assert world.open("act").known_source_id() == source
    assert world.recorded(SourceMoved) == []


def test_missing_database_is_said_before_anything_begins(world: World) -> None:
    """Exit 4; no folder is made for a typing error."""
    with pytest.raises(SourceMissing, match=r"wrong\.db") as missing:
        world.open("begin", database=world.folder / "wrong.db")
    assert exit_code_of(missing.value) == 4
    assert not world.backups.exists()


def test_missing_database_is_said_before_whose_folder_it_is(world: World) -> None:
    """Exit 4, not 5; it names the database that the folder has."""
    world.open()
    with pytest.raises(SourceMissing, match=r"wrong\.db.*app\.db") as missing:
        world.open("act", database=world.folder / "wrong.db")
    assert exit_code_of(missing.value) == 4


def test_moved_database_is_the_same_source(world: World) -> None:
    """The first path is gone, and a table is shared with the last good backup."""
    world.open()
    take_backup(world.site, world.context(), filename="first")
    source = world.site.known_source_id()
    world.close()
    moved = world.folder / "moved.db"
    shutil.move(world.database, moved)
    site = world.open("act", database=moved)
    assert site.known_source_id() == source
    (event,) = world.recorded(SourceMoved)
    assert (event.source, event.path_before, event.path) == (
        source,
        str(world.database),
        str(moved),
    )
    assert not plan_restore(site, "first.db").is_foreign
    world.close()
    world.open("act", database=moved)
    assert len(world.recorded(SourceMoved)) == 1


def test_copy_beside_the_first_database_did_not_move(world: World) -> None:
    """Whoever copied a database for a trial must not share its folder."""
    world.open()
    take_backup(world.site, world.context(), filename="first")
    copy = make_database(world.folder / "copy.db")
    with pytest.raises(FolderOfAnother):
        world.open("act", database=copy)


def test_database_without_a_common_table_did_not_move(world: World) -> None:
    """The first one is gone, but this is not it."""
    world.open()
    take_backup(world.site, world.context(), filename="first")
    other = billing(world)
    world.database.unlink()
    with pytest.raises(FolderOfAnother, match="shares no table"):
        world.open("act", database=other)
    assert world.recorded(SourceMoved) == []


def test_nothing_moves_where_no_good_backup_can_be_compared(world: World) -> None:
    """An empty folder says nothing about what the first database was."""
    world.open()
    world.database.unlink()
    with pytest.raises(FolderOfAnother):
        world.open("act", database=make_database(world.folder / "new.db"))


def test_restore_to_a_new_machine_brings_the_database_back(world: World) -> None:
    """The folder came along, the database did not: at its new path it is missing, and restored."""
    world.open()
    take_backup(world.site, world.context(), filename="first")
    world.database.unlink()
    new = world.folder / "new" / "app.db"
    new.parent.mkdir()
    site = world.open("act", database=new, backups=world.backups)
    restore_backup(site, world.context(), "first.db")
    assert len(titles_in(new)) == 20
    world.close()
    world.open("act", database=new, backups=world.backups)
    assert [each.path for each in world.recorded(SourceMoved)] == [str(new)]


def test_two_processes_register_one_source(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both saw none; the second one looks again."""
    world.open()
    (world.backups / ".store").write_text(f"{uuid4()}\n")
    world.close()
    wanting, others = FolderSource._wanting, []

    def late(folder: FolderSource, database: Path) -> Draft | None:
        draft = wanting(folder, database)
        if not others:
            others.append(1)
            others.append(world.open("act").known_source_id())
        return draft

    with monkeypatch.context() as patched:
        patched.setattr(FolderSource, "_wanting", late)
        site = world.open("act")
    assert site.known_source_id() == others[1]
    assert len(world.recorded(SourceRegistered)) == 2  # of the first store, and of the second


def mixed(world: World) -> str:
    """A folder as 0.1.0 left it: two databases, and the first one made the newest backup."""
    ours = world.open()
    assert ours.known_source_id() is not None  # it is remembered from here on
    other = make_database(world.folder / "billing.db", rows=3)
    details = SourceRegistered(source=str(uuid4()), store=ours.store.store_id, path=str(other))
    ours.ledger.append(world.context(), Draft(LEDGER_STREAM, details))
    theirs = world.open("read", database=other)
    theirs._source_id = details.source  # as 0.1.0 had it
    take_backup(theirs, world.context(), filename="theirs")
    take_backup(ours, world.context(), filename="ours")
    return details.source


def test_mixed_folder_belongs_to_the_source_of_the_newest_backup(world: World) -> None:
    """And the other one is told how to get its backups out."""
    other = mixed(world)
    world.reopen()
    owner = world.site.folder_source.owner()
    assert owner is not None
    assert owner.path == str(world.database)
    assert [each.source_id for each in world.site.folder_source.others()] == [other]
    with pytest.raises(FolderOfAnother, match="ledger split"):
        world.open("act", database=world.folder / "billing.db")


@pytest.mark.slow
def test_backup_of_another_source_needs_force_though_tables_are_shared(world: World) -> None:
    """What it was made of is known, and decides; forced, that is recorded."""
    mixed(world)
    site = world.reopen()
    plan = plan_restore(site, "theirs.db")
    assert plan.source == str(world.folder / "billing.db")
    assert plan.source in str(plan.foreign)
    with pytest.raises(OtherSource, match="--force") as refused:
        restore_backup(site, world.context(), "theirs.db")
    assert isinstance(refused.value, PermissionError)
    assert exit_code_of(refused.value) == 5
    assert len(titles_in(world.database)) == 20
    restore_backup(site, world.context(), "theirs.db", force=True)
    assert len(titles_in(world.database)) == 3
    assert [each.forced for each in world.recorded(RestoreCompleted)] == [True]


@pytest.mark.slow
def test_backup_of_another_source_is_foreign_where_the_database_is_gone_or_damaged(
    world: World,
) -> None:
    """There is nothing to compare it with, and nothing has to be."""
    mixed(world)
    site = world.reopen()
    break_database(world.database)
    assert plan_restore(site, "theirs.db").is_foreign
    assert not plan_restore(site, "ours.db").is_foreign
    world.database.unlink()
    assert plan_restore(site, "theirs.db").is_foreign
    assert not plan_restore(site, "ours.db").is_foreign
