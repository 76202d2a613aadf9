"""What processes are doing when they are killed: how it is prepared, and the act itself."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta

from commands.backups.delete import delete_backup
from commands.backups.hold import place_hold, release_holds
from commands.backups.take import take_backup
from commands.errors import FolderOfAnother
from commands.recovery.reconcile import reconcile
from commands.restore.restore import restore_backup
from commands.restore.tables import TablesWanted
from commands.retention.apply import apply_retention
from commands.retention.cleanup import clean_up_empty, clean_up_old_protected
from commands.scheduler.check import check
from commands.site.configuration import Configuration
from commands.site.opening import open_site
from commands.verification.verify import verify_backup
from ledger.vocabulary import BackupKind
from tests.commands.world import World, add_case, break_database, make_database
from tests.crash import offsite
from tests.crash.offsite import BUCKET_COLLECT, OFFSITE_COLLECT, OFFSITE_COPY
from tests.faults.copying import copy_always

Act = Callable[[World], object]


@dataclass(frozen=True)
class Story:
    """`prepare` is done in peace; `act` is what gets killed."""

    prepare: Act
    act: Act


def _two_users_with_a_backup(world: World) -> None:
    for user_id in (1, 2):
        world.configure(user_id, keep_count=1)
    world.due_again()
    check(world.site)
    world.due_again()


def _clock_ahead(world: World) -> None:
    _two_users_with_a_backup(world)
    world.advance(days=800)


def _clock_behind(world: World) -> None:
    _two_users_with_a_backup(world)
    world.move_to(world.clock.now() - timedelta(days=5))


def _another_database_and_a_check(world: World) -> None:
    """Somebody begins with a second database in the same folder: refused, and nothing is mixed."""
    other = world.folder / "billing.db"
    if not other.exists():
        make_database(other)
    with suppress(FolderOfAnother):
        chosen = Configuration(database=other, backups=world.backups, **world.options)
        open_site(chosen, "begin", clock=world.clock)
        raise AssertionError("the folder belongs to another database")
    check(world.site)


def _three_by_hand(world: World) -> None:
    for number in range(3):
        world.advance(hours=1)
        take_backup(world.site, world.context(), filename=f"hand{number}.db")


def _one_and_another_case(world: World) -> None:
    take_backup(world.site, world.context(), filename="first.db")
    add_case(world.database, "new since the backup")


def _one_and_a_damaged_database(world: World) -> None:
    take_backup(world.site, world.context(), filename="first.db")
    break_database(world.database)
    world.database.with_name("app.db-journal").write_bytes(b"a journal of the damaged one")


def _one_and_no_database(world: World) -> None:
    take_backup(world.site, world.context(), filename="first.db")
    for path in world.folder.glob("app.db*"):
        path.unlink()


def _old_migration_backups(world: World) -> None:
    for _ in range(2):
        take_backup(world.site, world.context(), kind=BackupKind.PRE_MIGRATION)
        world.advance(hours=1)
    world.advance(days=100)
    take_backup(world.site, world.context())


def _changed_by_hand(world: World) -> None:
    _three_by_hand(world)
    os.link(world.backups / "hand0.db", world.folder / "kept")
    (world.backups / "hand1.db").unlink()
    (world.folder / "kept").rename(world.backups / "copied in.db")
    (world.backups / "empty.db").touch()
    os.utime(world.backups / "empty.db", (1_700_000_000, 1_700_000_000))


def _one_and_a_damaged_database_with_a_log(world: World) -> None:
    _one_and_a_damaged_database(world)
    for suffix in ("-wal", "-shm"):
        world.database.with_name(f"app.db{suffix}").write_bytes(b"a log of the damaged one")


def _one_and_other_pages(world: World) -> None:
    take_backup(world.site, world.context(), filename="first.db")
    with closing(sqlite3.connect(world.database, isolation_level=None)) as connection:
        for statement in ("journal_mode=DELETE", "page_size=8192"):
            connection.execute(f"PRAGMA {statement}")
        connection.execute("VACUUM")
        connection.execute("PRAGMA journal_mode=WAL")
    add_case(world.database, "new since the backup")


def _empty_files(world: World) -> None:
    _three_by_hand(world)
    for name in ("empty.db", "hollow.db"):
        (world.backups / name).touch()
    reconcile(world.site, world.context())


def _copied_by_a_process(world: World) -> None:
    _three_by_hand(world)
    copy_always()


def _hold_and_release(world: World) -> None:
    place_hold(world.site, world.context(), "hand0.db", "for the auditor")
    place_hold(world.site, world.context(), "hand0.db", "for the court")
    release_holds(world.site, world.context(), "hand0.db")


def _change_settings(world: World) -> None:
    world.configure(1, keep_count=3)
    world.configure(2, frequency="weekly")
    world.configure(1, enabled=False)


def _verify_all(world: World) -> None:
    for backup in world.present():
        verify_backup(world.site, world.context(), backup, "integrity")


def _drill_one(world: World) -> None:
    verify_backup(world.site, world.context(), world.present()[0], "drill")


def _nothing(_world: World) -> None:
    return


def _restore(world: World) -> None:
    restore_backup(world.site, world.context(), "first.db")


def _restore_table(world: World) -> None:
    wanted = TablesWanted(("cases",), "exact")
    restore_backup(world.site, world.context(), "first.db", tables=wanted)


STORIES: dict[str, Story] = {
    "begin": Story(_nothing, lambda world: world.open()),
    "first backup": Story(
        _nothing, lambda world: take_backup(world.site, world.context(), filename="first.db")
    ),
    "by hand": Story(_three_by_hand, lambda world: take_backup(world.site, world.context())),
    "scheduled": Story(_two_users_with_a_backup, lambda world: check(world.site)),
    "copied": Story(_copied_by_a_process, lambda world: take_backup(world.site, world.context())),
    "settings": Story(lambda world: world.open(), _change_settings),
    "hold": Story(_three_by_hand, _hold_and_release),
    "verify": Story(_three_by_hand, _verify_all),
    "drill": Story(_three_by_hand, _drill_one),
    "delete": Story(
        _three_by_hand, lambda world: delete_backup(world.site, world.context(), "hand1.db")
    ),
    "retention": Story(
        _three_by_hand, lambda world: apply_retention(world.site, world.context(), 1, None)
    ),
    "clean up": Story(
        _old_migration_backups,
        lambda world: clean_up_old_protected(world.site, world.context(), 90),
    ),
    "clean up empty": Story(
        _empty_files, lambda world: clean_up_empty(world.site, world.context())
    ),
    "reconcile": Story(_changed_by_hand, lambda world: reconcile(world.site, world.context())),
    "restore": Story(_one_and_another_case, _restore),
    "restore table": Story(_one_and_another_case, _restore_table),
    "replace damaged": Story(_one_and_a_damaged_database, _restore),
    "replace with a log": Story(_one_and_a_damaged_database_with_a_log, _restore),
    "replace pages": Story(_one_and_other_pages, _restore),
    "replace missing": Story(_one_and_no_database, _restore),
    "restore elsewhere": Story(
        _one_and_another_case,
        lambda world: restore_backup(
            world.site, world.context(), "first.db", to=world.folder / "elsewhere.db"
        ),
    ),
}

STORIES_OF_DISORDER = {
    "clock ahead": Story(_clock_ahead, lambda world: check(world.site)),
    "clock behind": Story(_clock_behind, lambda world: check(world.site)),
    "another database": Story(_two_users_with_a_backup, _another_database_and_a_check),
}
"""A clock that jumped, and a second database that is given the same folder."""

STORIES_APART = {
    OFFSITE_COPY: Story(offsite.prepare, offsite.act),
    OFFSITE_COLLECT: Story(offsite.prepare_collect, offsite.collect_now),
    BUCKET_COLLECT: Story(offsite.prepare_bucket, offsite.collect_now),
}
"""Stories whose aftermath has a test of its own."""
