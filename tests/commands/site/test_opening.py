"""Opening a site: where a ledger may be made, and where its absence is an error."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from commands.errors import NoDatabase, StoreUnknown, exit_code_of
from commands.recovery.reconcile import reconcile
from commands.site import opening
from commands.site.configuration import Configuration
from commands.site.marker import remove_marker
from commands.site.opening import Mode, begin, open_site
from ledger.errors import LedgerError, LedgerMissing, LedgerTooNew, NotALedger
from tests.commands.conftest import MakeWorld
from tests.commands.invariants import require_whole
from tests.commands.world import World, mode_of

STORE, LEDGER = ".store", "ledger.sqlite"


def test_ledger_store_and_read_models_are_private(world: World) -> None:
    """Files 0600, directories 0700, whatever the umask."""
    world.open()
    world.site.owner  # noqa: B018
    assert mode_of(world.backups) == 0o700
    for name in (STORE, LEDGER, "projections.sqlite"):
        assert mode_of(world.backups / name) == 0o600
    assert mode_of(world.backups / ".staging") == 0o700
    assert mode_of(world.site.owner.folder) == 0o700
    assert mode_of(world.site.owner.folder / "lock") == 0o600


def test_first_opening_begins_and_later_ones_find(world: World) -> None:
    """The same ledger and store, in every mode."""
    first = world.open("begin")
    known = (first.ledger.meta.ledger_id, first.store.store_id)
    modes: tuple[Mode, ...] = ("begin", "act", "read")
    for mode in modes:
        again = world.open(mode)
        assert (again.ledger.meta.ledger_id, again.store.store_id) == known


def test_acting_command_never_makes_a_ledger(world: World) -> None:
    """An unmounted folder looks like an empty one: exit 1, naming what to do."""
    with pytest.raises(StoreUnknown, match="ledger init") as refused:
        world.open("act")
    assert exit_code_of(refused.value) == 1
    assert not world.backups.exists()


def test_reading_command_without_a_ledger_finds_nothing(world: World) -> None:
    """Exit 4, and nothing is made."""
    with pytest.raises(LedgerMissing) as missing:
        world.open("read")
    assert exit_code_of(missing.value) == 4
    assert not world.backups.exists()


@pytest.mark.parametrize("lost", [STORE, LEDGER])
@pytest.mark.parametrize("mode", ["begin", "act"])
def test_one_of_store_and_ledger_without_the_other_is_an_error(
    world: World, lost: str, mode: Mode
) -> None:
    """Nobody guesses: it names what is missing, and changes nothing."""
    world.configure()
    world.close()
    (world.backups / lost).rename(world.folder / "lost")
    before = sorted(path.name for path in world.backups.iterdir())
    with pytest.raises(StoreUnknown, match="ledger init"):
        world.open(mode)
    assert sorted(path.name for path in world.backups.iterdir()) == before


def test_missing_store_file_is_never_a_mass_of_missing_backups(world: World) -> None:
    """A reading command still shows the ledger; whatever needs the folder refuses."""
    world.configure()
    world.due_again()
    world.check()
    (world.backups / STORE).unlink()
    world.close()
    world.open("read")
    with pytest.raises(StoreUnknown):
        reconcile(world.site, world.context())
    assert "backup_catalog.backup_missing" not in {
        each.event.event_type for each in world.all_events()
    }


def test_person_may_make_a_new_store_for_a_ledger(world: World) -> None:
    """`ledger init --new` where one of the two is there."""
    world.configure()
    world.close()
    (world.backups / STORE).unlink()
    begin(Configuration(database=world.database), world.clock, new=True)
    world.open("act")
    assert world.schedule().user_id == 1


def test_rows_of_another_ledger_stop_the_making_of_a_new_one(make_world: MakeWorld) -> None:
    """The application's database knows a ledger that is not here: its folder is not mounted."""
    world = make_world()
    world.configure()
    world.close()
    rows = world.folder / "kept.sqlite"
    (world.backups / "projections.sqlite").rename(rows)
    shutil.rmtree(world.backups)
    remove_marker(world.database)
    with pytest.raises(StoreUnknown, match="another ledger"):
        world.open("begin", projections=str(rows))


def test_making_that_was_cut_short_is_taken_up(world: World) -> None:
    """An empty ledger file without .store is what a kill leaves: the next one goes on."""
    world.backups.mkdir(mode=0o700)
    (world.backups / LEDGER).touch(mode=0o600)
    world.configure()
    world.check()
    require_whole(world.site)


def test_making_with_a_ledger_but_no_store_and_no_events_is_taken_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the ledger and its .store."""

    def killed(_folder: Path) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(opening, "make_store", killed)
        with pytest.raises(KeyboardInterrupt):
            world.open()
    assert not (world.backups / STORE).exists()
    world.configure()
    assert world.schedule().enabled


def test_file_that_is_no_ledger_is_left_alone(world: World) -> None:
    """Another database, or no database, at the ledger's path."""
    world.open()
    world.close()
    ledger = world.backups / LEDGER
    for content in (b"no database at all, but long enough to look at" * 30, None):
        for suffix in ("", "-wal", "-shm"):
            ledger.with_name(ledger.name + suffix).unlink(missing_ok=True)
        if content is None:
            with closing(sqlite3.connect(ledger)) as connection:
                connection.execute("CREATE TABLE theirs (x)")
        else:
            ledger.write_bytes(content)
        before = ledger.read_bytes()
        with pytest.raises(NotALedger):
            world.open("act")
        assert ledger.read_bytes() == before


def test_ledger_of_newer_software_is_refused(world: World) -> None:
    """It says which version it is, and what to do."""
    world.open()
    world.close()
    with closing(sqlite3.connect(world.backups / LEDGER)) as connection:
        connection.execute("UPDATE ledger_meta SET schema_version = 99")
        connection.commit()
    with pytest.raises(LedgerTooNew, match=r"99.*update"):
        world.open("act")


def test_store_file_with_something_else_in_it_is_an_error(world: World) -> None:
    """It is the folder's identity, so nothing may be guessed."""
    world.open()
    world.close()
    (world.backups / STORE).write_text("not a uuid")
    with pytest.raises(StoreUnknown, match="cannot be read"):
        world.open("act")


def test_file_where_the_folder_should_be_is_an_error(world: World) -> None:
    """A file called `backups`."""
    world.backups.write_text("x")
    for mode in ("begin", "act"):
        with pytest.raises(StoreUnknown):
            world.open(mode)  # type: ignore[arg-type]
    assert world.backups.read_text() == "x"


def test_without_database_and_folder_nothing_can_be_opened() -> None:
    """It is a matter of usage: exit 2."""
    with pytest.raises(NoDatabase) as refused:
        open_site(Configuration(), "begin")
    assert exit_code_of(refused.value) == 2


def test_ledger_elsewhere_is_used_where_it_is_named(make_world: MakeWorld) -> None:
    """A ledger outside the backups folder; nothing is made inside in its place."""
    world = make_world()
    elsewhere = world.folder / "ledgers"
    elsewhere.mkdir()
    world.options["ledger"] = str(elsewhere / "mine.sqlite")
    world.configure()
    assert (elsewhere / "mine.sqlite").exists()
    assert not (world.backups / LEDGER).exists()
    world.reopen()
    assert world.schedule().user_id == 1


def test_source_is_registered_once_and_recognized_by_its_real_path(world: World) -> None:
    """Through a symbolic link it is the same database."""
    first = world.site.source_id(world.context())
    world.reopen()
    assert world.site.known_source_id() == first
    link = world.folder / "link.db"
    link.symlink_to(world.database)
    world.close()
    world.open("act", database=link, backups=world.backups)
    assert world.site.known_source_id() == first


def test_closed_site_leaves_no_staging_folder(world: World) -> None:
    """The owner's folder goes with the owner."""
    world.site.owner  # noqa: B018
    world.close()
    assert list((world.backups / ".staging").iterdir()) == []


def test_ledger_in_a_folder_that_is_not_there_is_an_error_of_ours(make_world: MakeWorld) -> None:
    """No half-made store is left that would have to be repaired by hand."""
    world = make_world(ledger="/nonexistent/folder/ledger.sqlite")
    with pytest.raises((StoreUnknown, LedgerError)):
        world.open()
    assert not (world.backups / STORE).exists()
