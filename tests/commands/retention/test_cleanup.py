"""The two clean-ups: empty backups, and protected ones that have grown old."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from commands.backups.hold import place_hold
from commands.backups.take import take_backup
from commands.errors import InvalidArgument, exit_code_of
from commands.recovery.reconcile import reconcile
from commands.retention.cleanup import clean_up_empty, clean_up_old_protected
from ledger.events.catalog import DeletionStarted
from ledger.events.retention import DeletionFailed, EmptyBackupsCleaned, OldProtectedCleaned
from ledger.vocabulary import BackupKind
from tests.commands.invariants import require_whole
from tests.commands.world import World


def adopt_empty(world: World, *names: str) -> None:
    """Files of zero bytes, as a full disk once left them."""
    world.open()
    for name in names:
        (world.backups / name).touch()
    reconcile(world.site, world.context())


def take_protected(world: World) -> str:
    kind = BackupKind.PRE_MIGRATION
    return take_backup(world.site, world.context(), kind=kind).filename


def test_empty_backups_go_also_protected_ones(world: World) -> None:
    """It exists for such files; what has content stays."""
    adopt_empty(world, "empty.db", "pre_migration_empty.db")
    take_backup(world.site, world.context(), filename="good.db")
    context = world.context()
    deletions = clean_up_empty(world.site, context)
    assert {each.backup.filename for each in deletions} == {"empty.db", "pre_migration_empty.db"}
    assert world.files() == {"good.db"}
    (event,) = world.events_of(EmptyBackupsCleaned)
    assert {each.filename for each in event.details.deleted} == {
        "empty.db",
        "pre_migration_empty.db",
    }
    assert (event.details.deleted_count, event.details.part, event.details.parts) == (2, 1, 1)
    assert (event.stream, event.user_id) == ("retention/global", None)
    assert {each.reason for each in world.recorded(DeletionStarted)} == {"cleanup_empty"}
    require_whole(world.site)


def test_nothing_to_clean_is_recorded_as_well(world: World) -> None:
    """That somebody looked is a fact."""
    assert clean_up_empty(world.site, world.context()) == []
    assert clean_up_old_protected(world.site, world.context(), 90) == []
    assert world.recorded(EmptyBackupsCleaned)[0].deleted == []
    assert world.recorded(OldProtectedCleaned)[0].days_old == 90


def test_held_backup_stays_in_both(world: World) -> None:
    """A hold is refused to all."""
    adopt_empty(world, "empty.db")
    old = take_protected(world)
    for name in ("empty.db", old):
        place_hold(world.site, world.context(), name, "why")
    world.advance(days=100)
    take_backup(world.site, world.context(), filename="good.db")
    assert clean_up_empty(world.site, world.context()) == []
    assert clean_up_old_protected(world.site, world.context(), 90) == []
    assert world.files() == {"empty.db", old, "good.db"}


def test_only_protected_ones_beyond_the_age_go(world: World) -> None:
    """Older than the days, to the microsecond; unprotected ones are retention's business."""
    take_backup(world.site, world.context(), filename="old but not protected.db")
    old = take_protected(world)
    world.advance(microseconds=1)
    at_the_limit = take_protected(world)
    world.advance(days=90)
    deletions = clean_up_old_protected(world.site, world.context(), 90)
    assert [each.backup.filename for each in deletions] == [old]
    assert world.files() == {"old but not protected.db", at_the_limit}
    assert world.recorded(DeletionStarted)[0].rule == "protected, older than 90 days"


def test_last_good_backup_is_not_cleaned_away(world: World) -> None:
    """Of several old ones the newest stays where nothing else is good."""
    for _ in range(3):
        newest = take_protected(world)
        world.advance(hours=1)
    world.advance(days=100)
    assert len(clean_up_old_protected(world.site, world.context(), 90)) == 2
    assert world.files() == {newest}


@pytest.mark.parametrize("days", [-1, 36_501, 1.5, "90", None, True])
def test_days_that_are_no_days_are_refused(world: World, days: Any) -> None:
    """A matter of usage: exit 2; nothing is deleted."""
    old = take_protected(world)
    with pytest.raises(InvalidArgument) as refused:
        clean_up_old_protected(world.site, world.context(), days)
    assert exit_code_of(refused.value) == 2
    assert world.files() == {old}


def test_file_that_cannot_be_deleted_is_reported_not_counted(world: World) -> None:
    """delete_error names it; the event counts what is really gone."""
    adopt_empty(world, "a.db", "b.db")
    Path(world.backups, "a.db").unlink()
    Path(world.backups, "a.db").mkdir()
    deletions = clean_up_empty(world.site, world.context())
    assert [each.backup.filename for each in deletions] == ["b.db"]
    assert world.recorded(EmptyBackupsCleaned)[0].deleted_count == 1
    assert world.recorded(DeletionFailed)[0].filename == "a.db"
