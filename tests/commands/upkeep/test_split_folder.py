"""Taking a folder apart in which 0.1.0 mixed two databases: nothing is lost."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from commands.backups.hold import place_hold
from commands.backups.take import take_backup
from commands.errors import FolderOfAnother, InvalidArgument
from commands.schedules.settings import pause
from commands.site.site import Site
from commands.upkeep import split_folder as module
from commands.upkeep.split_folder import SplitOutcome, open_mixed, plan_split, split_folder
from ledger.append.ledger import Draft
from ledger.events.catalog import BackupDeleted
from ledger.events.housekeeping import SourceRegistered
from ledger.vocabulary import LEDGER_STREAM
from tests.commands.invariants import require_whole
from tests.commands.world import World, make_database, titles_in


def register(world: World, path: Path) -> str:
    details = SourceRegistered(
        source=str(uuid4()), store=world.sites[0].store.store_id, path=str(path)
    )
    world.sites[0].ledger.append(world.context(), Draft(LEDGER_STREAM, details))
    return details.source


@pytest.fixture
def mixed(world: World) -> World:
    """`theirs1.db` and `theirs2.db` are of billing.db, `ours.db` of app.db, the folder's owner."""
    world.configure(1, keep_count=5, timezone="Asia/Tokyo")
    world.configure(2)
    pause(world.site, world.context(), 2)
    ours = world.site
    assert ours.known_source_id() is not None
    billing = make_database(world.folder / "billing.db", rows=3)
    source = register(world, billing)
    theirs = world.open("read", database=billing)
    theirs._source_id = source  # as 0.1.0 had it
    take_backup(theirs, world.context(), filename="theirs1", user_id=1)
    make_database(world.folder / "other.db").replace(billing)
    take_backup(theirs, world.context(), filename="theirs2")
    take_backup(ours, world.context(), filename="ours")
    world.close()
    world.sites.append(open_mixed(ours.configuration))
    return world


def split(world: World, **options: Path) -> SplitOutcome:
    plan = plan_split(world.site, world.context(), options.get("source"), options.get("to"))
    return split_folder(world.site, world.context(), plan)


def new_site(world: World) -> Site:
    """The folder of its own, as the other database finds it."""
    places = {"database": world.folder / "billing.db", "backups": world.folder / "billing_backups"}
    return world.open("act", **{"ledger": None, "projections": None} | places)


@pytest.mark.slow
def test_each_database_has_its_backups_in_the_end(mixed: World) -> None:
    """With owner, kind, time and digest; the old ledger says where they went."""
    before = {each.filename: each for each in mixed.present()}
    outcome = split(mixed)
    assert sorted(outcome.moved) == ["theirs1.db", "theirs2.db"]
    assert outcome.left == {}
    assert mixed.files() == {"ours.db"}
    assert {each.rule for each in mixed.recorded(BackupDeleted)} == {
        f"moved to {mixed.folder / 'billing_backups'}: ledger split"
    }
    require_whole(mixed.site)
    new_site(mixed)
    found = {each.filename: each for each in mixed.present()}
    assert found.keys() == {"theirs1.db", "theirs2.db"}
    for name, each in found.items():
        was = before[name]
        assert (each.sha256, each.size, each.kind, each.user_id, each.created_at) == (
            (was.sha256, was.size, was.kind, was.user_id, was.created_at)
        )
        assert mixed.site.store.path(name).stat().st_size == each.size
    require_whole(mixed.site)
    owner = mixed.site.folder_source.owner()
    assert owner is not None
    assert owner.source_id == before["theirs1.db"].source


@pytest.mark.slow
def test_schedules_are_set_there_as_they_are_here(mixed: World) -> None:
    """Both databases were backed up by them, or were meant to be."""
    assert split(mixed).users == [1, 2]
    new_site(mixed)
    assert (mixed.schedule(1).keep_count, mixed.schedule(1).timezone) == (5, "Asia/Tokyo")
    assert (mixed.schedule(1).paused, mixed.schedule(2).paused) == (False, True)


def test_plan_changes_nothing(mixed: World) -> None:
    """It names both databases, the files and the new folder."""
    size = len(mixed.all_events())
    plan = plan_split(mixed.site, mixed.context(), None, None)
    assert (plan.owner.path, plan.source.path) == (
        str(mixed.database),
        str(mixed.folder / "billing.db"),
    )
    assert {each.filename for each in plan.backups} == {"theirs1.db", "theirs2.db"}
    assert len(mixed.all_events()) == size
    assert not plan.folder.exists()


@pytest.mark.slow
def test_split_that_was_cut_short_goes_on(mixed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything was copied, nothing deleted: the next one copies nothing, and deletes."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "_delete_here", killed)
        with pytest.raises(KeyboardInterrupt):
            split(mixed)
    assert mixed.files() == {"ours.db", "theirs1.db", "theirs2.db"}
    assert sorted(split(mixed).moved) == ["theirs1.db", "theirs2.db"]
    new_site(mixed)
    assert len(mixed.present()) == 2
    require_whole(mixed.site)


@pytest.mark.slow
def test_damaged_file_stays_where_it_is(mixed: World) -> None:
    """What is not what was recorded is not passed on as if it were; the others go."""
    path = mixed.backups / "theirs1.db"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    outcome = split(mixed)
    assert outcome.moved == ["theirs2.db"]
    assert "not what was recorded" in outcome.left["theirs1.db"]
    assert mixed.files() == {"ours.db", "theirs1.db"}
    new_site(mixed)
    assert [each.filename for each in mixed.present()] == ["theirs2.db"]
    assert mixed.staged() == []


@pytest.mark.slow
def test_held_backup_is_in_both(mixed: World) -> None:
    """A hold is an order to keep it: here, and there with the same hold."""
    hold_id = place_hold(mixed.site, mixed.context(), "theirs1.db", "court")
    outcome = split(mixed)
    assert outcome.moved == ["theirs2.db"]
    assert "held" in outcome.left["theirs1.db"]
    new_site(mixed)
    (held,) = [each for each in mixed.present() if each.filename == "theirs1.db"]
    assert [each["hold_id"] for each in held.holds] == [hold_id]


@pytest.mark.slow
def test_database_that_leaves_may_be_gone(mixed: World) -> None:
    """Then its backups are needed most."""
    (mixed.folder / "billing.db").unlink()
    assert len(split(mixed).moved) == 2
    new_site(mixed)
    assert len(mixed.present()) == 2


@pytest.mark.slow
def test_folder_of_another_database_is_refused(mixed: World) -> None:
    """Mixing the next two is not a way out."""
    third = make_database(mixed.folder / "third.db")
    places = {"database": third, "backups": mixed.folder / "thirds"}
    mixed.open("begin", **{"ledger": None, "projections": None} | places)
    mixed.sites.pop().close()
    with pytest.raises(FolderOfAnother, match=r"third\.db"):
        split(mixed, to=mixed.folder / "thirds")
    assert mixed.files() == {"ours.db", "theirs1.db", "theirs2.db"}


@pytest.mark.slow
def test_it_has_to_be_said_which_one_leaves(mixed: World) -> None:
    """An unknown one is refused, and a folder of one database has nothing to split."""
    with pytest.raises(InvalidArgument, match=r"billing\.db"):
        split(mixed, source=mixed.folder / "unknown.db")
    assert len(split(mixed, source=mixed.folder / "billing.db").moved) == 2
    with pytest.raises(InvalidArgument, match="nothing to do"):
        split(mixed)


@pytest.mark.slow
def test_database_that_stays_is_what_it_was(mixed: World) -> None:
    """A split opens neither database."""
    split(mixed)
    assert len(titles_in(mixed.database)) == 20
