"""With `share_unchanged` an unchanged database takes no further space; each backup stands alone."""

from __future__ import annotations

import pytest

from commands.backups.delete import delete_backup
from commands.backups.take import take_backup
from commands.runs import run as run_backups
from commands.verification.verify import verify_backup
from ledger.events.catalog import BackupCreated
from ledger.vocabulary import NOT_CHECKED_ANEW, BackupKind
from projections.folds.backup import Backup
from tests.commands.conftest import MakeWorld
from tests.commands.invariants import require_whole
from tests.commands.world import World, add_case, titles_in


def inodes(world: World) -> set[int]:
    return {(world.backups / name).stat().st_ino for name in world.files()}


def take(world: World, name: str, user_id: int | None = 1) -> Backup:
    world.advance(minutes=1)
    return take_backup(world.site, world.context(), filename=name, user_id=user_id)


@pytest.fixture
def sharing(make_world: MakeWorld) -> World:
    return make_world(share_unchanged=True)


@pytest.mark.slow
def test_unchanged_database_is_kept_once_and_a_changed_one_again(sharing: World) -> None:
    """The event says with which backup the file is shared; the list says it counts once."""
    first = take(sharing, "1.db")
    second = take(sharing, "2.db")
    assert (first.shared_with, second.shared_with) == (None, first.backup_id)
    assert len(inodes(sharing)) == 1
    on_disk = sharing.site.store.bytes_on_disk()
    assert 0 < on_disk < first.size + second.size
    add_case(sharing.database, "new")
    assert take(sharing, "3.db").shared_with is None
    assert len(inodes(sharing)) == 2
    assert sharing.staged() == []
    require_whole(sharing.site)


def test_deleting_one_never_hurts_the_other(sharing: World) -> None:
    """Whichever goes first."""
    take(sharing, "1.db")
    second = take(sharing, "2.db")
    delete_backup(sharing.site, sharing.context(), "1.db")
    assert titles_in(sharing.backups / "2.db") == titles_in(sharing.database)
    found = verify_backup(sharing.site, sharing.context(), second, "integrity", trigger="command")
    assert found.is_good
    require_whole(sharing.site)


def test_without_the_setting_every_backup_has_a_file_of_its_own(world: World) -> None:
    """Fewer independent copies are nobody's default; only the check is not done again."""
    first = take(world, "1.db")
    assert take(world, "2.db").shared_with is None
    assert len(inodes(world)) == 2
    add_case(world.database, "new")
    take(world, "3.db")
    one, two, three = (event.details for event in world.events_of(BackupCreated))
    assert NOT_CHECKED_ANEW not in one.engine_reason + three.engine_reason
    assert f"{NOT_CHECKED_ANEW}: it has the bytes of backup {first.backup_id}" in two.engine_reason
    assert (two.tables, two.row_count, two.condition) == (one.tables, one.row_count, "ok")
    assert three.row_count == one.row_count + 1


def test_another_users_backup_a_protected_one_and_a_damaged_one_are_not_shared_with(
    sharing: World,
) -> None:
    """A file that rotted is read again before it is shared, not believed."""
    take(sharing, "1.db", user_id=1)
    assert take(sharing, "2.db", user_id=2).shared_with is None
    kept = take_backup(sharing.site, sharing.context(), kind=BackupKind.PRE_MIGRATION, user_id=1)
    assert kept.shared_with is None
    damaged = sharing.backups / "2.db"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    third = take(sharing, "3.db", user_id=2)
    assert third.shared_with is None
    assert titles_in(sharing.backups / "3.db") == titles_in(sharing.database)
    assert sharing.staged() == []


def test_herd_shares_with_the_file_of_its_first_user(make_world: MakeWorld) -> None:
    """Two checks of an unchanged database leave one file with four names."""
    world = make_world(share_unchanged=True)
    for user_id in (1, 2):
        world.configure(user_id)
    for _ in range(2):
        world.due_again()
        assert world.check().completed == 2
    assert len(world.files()) == 4
    assert len(inodes(world)) == 1
    created = world.events_of(BackupCreated)
    first, shared = created[0], [each.details.shared_with for each in created]
    assert shared == [None] + [first.resource_id] * 3
    require_whole(world.site)


@pytest.mark.slow
def test_a_herd_that_dies_before_its_shared_file_has_names_is_published_by_the_next_process(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The staged file has the id of one entry, and is the content of all of them."""
    world = make_world(share_unchanged=True)
    for user_id in (1, 2, 3):
        world.configure(user_id)
    world.due_again()
    assert world.check().completed == 3

    def die(*_arguments: object) -> dict[str, OSError]:
        raise KeyboardInterrupt

    world.due_again()
    with monkeypatch.context() as patch:
        patch.setattr(run_backups, "publish_all", die)
        with pytest.raises(KeyboardInterrupt):
            world.check()
    assert len(world.files()) == 3
    world.reopen()
    world.check()
    assert len(world.files()) == 6
    assert len(inodes(world)) == 1
    assert world.staged() == []
    require_whole(world.site)


def test_independent_copies_are_files_of_their_own(make_world: MakeWorld) -> None:
    """One snapshot for each user, and no file with two names."""
    world = make_world(independent_copies=True)
    for user_id in (1, 2, 3):
        world.configure(user_id)
    world.due_again()
    assert world.check().completed == 3
    assert len(inodes(world)) == 3
    assert all((world.backups / name).stat().st_nlink == 1 for name in world.files())


def test_deleting_one_of_a_herds_backups_hurts_no_other(make_world: MakeWorld) -> None:
    """The first on the file goes; the others are whole."""
    world = make_world()
    for user_id in (1, 2, 3):
        world.configure(user_id)
    world.due_again()
    world.check()
    first, *others = sorted(world.present(), key=lambda each: each.position)
    delete_backup(world.site, world.context(), first.filename)
    for each in others:
        assert verify_backup(
            world.site, world.context(), each, "integrity", trigger="command"
        ).is_good
