"""A scheduler copies after its checks; what fails there harms no backup, and is tried again."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from commands.offsite.copy_all import copy_due
from commands.scheduler.process import run_scheduler
from commands.site import actors
from ledger.events.offsite import CopyCompleted, CopyFailed
from ledger.events.scheduling import BackupCompleted
from tests.commands.offsite.conftest import Offsite


def due(offsite: Offsite, *, stopped: bool = False) -> list[bool]:
    """Whether each copy that was due worked."""
    site = offsite.world.site
    context = site.context(actors.scheduler(site.instance))
    return [each.error is None for each in copy_due(site, context, lambda: stopped)]


def test_a_scheduled_backup_is_copied_by_the_scheduler(offsite: Offsite) -> None:
    """By `run --once` before it ends; and the ledger is published after it."""
    world = offsite.world
    world.configure(1)
    world.due_again()
    run_scheduler(world.site, once=True, stop=Event())
    assert len(world.recorded(BackupCompleted)) == 1
    assert [each.actor.kind for each in world.events_of(CopyCompleted)] == ["scheduler"]
    assert offsite.objects("ledger/checkpoints/") != []
    with world.watched() as types:
        assert due(offsite) == []
    assert types == []


def test_a_destination_that_is_away_is_tried_again_with_growing_waits(
    offsite: Offsite, tmp_path: Path
) -> None:
    """1, 2, 4 minutes; the backups go on; what was missed is copied once it is back."""
    world = offsite.world
    offsite.backup("one")
    away = offsite.folder.rename(tmp_path / "away")
    tries = []
    for minute in range(12):
        if due(offsite):
            tries.append(minute)
        world.advance(minutes=1)
    assert tries == [0, 1, 3, 7]
    assert {each.error_type for each in world.recorded(CopyFailed)} == {"DestinationUnreachable"}
    offsite.backup("two")
    away.rename(offsite.folder)
    world.advance(hours=1)
    assert due(offsite) == [True, True]


def test_a_scheduler_that_stops_begins_no_copy(offsite: Offsite) -> None:
    offsite.backup("one")
    assert due(offsite, stopped=True) == []
