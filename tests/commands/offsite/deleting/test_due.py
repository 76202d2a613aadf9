"""When a scheduler collects: once a day, and when something may go; never more than hourly."""

from __future__ import annotations

import shutil

import pytest

from commands.offsite.deleting.due import collect_due, is_due
from commands.offsite.errors import DeletionForbidden, DestinationUnreachable
from commands.offsite.repository.folder_store import FolderStore
from commands.scheduler.offsite_copies import OffsiteThread
from ledger.events.offsite_deletion import CollectStarted, CopyDeleted, CopyDeletionStarted
from tests.commands.offsite.deleting.conftest import Deleting


def due(deleting: Deleting) -> list[object]:
    """What a scheduler's turn came to: the destinations' outcomes, or their errors."""
    world = deleting.offsite.world
    return [done for _, done in collect_due(world.site, world.context(), lambda: False)]


def test_a_destination_is_looked_at_once_a_day(deleting: Deleting) -> None:
    deleting.copies_made(1)
    site = deleting.offsite.world.site
    assert is_due(site, deleting.offsite.nas)
    assert len(due(deleting)) == 1
    deleting.offsite.world.advance(hours=2)
    assert due(deleting) == []
    deleting.offsite.world.advance(hours=23)
    assert len(due(deleting)) == 1
    assert deleting.offsite.world.recorded(CollectStarted) == []  # there was nothing to do


def test_what_retention_lets_go_is_collected_within_the_hour(deleting: Deleting) -> None:
    deleting.copies_made(3, days=0)
    due(deleting)
    deleting.set(keep=1)
    assert due(deleting) == []
    deleting.offsite.world.advance(hours=1)
    due(deleting)
    assert len(deleting.offsite.world.recorded(CopyDeletionStarted)) == 2
    deleting.offsite.world.advance(hours=24)
    due(deleting)
    assert len(deleting.offsite.world.recorded(CopyDeleted)) == 2


def test_where_this_machine_may_not_delete_it_only_condemns(
    deleting: Deleting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not try each hour what was refused; whoever asks by hand does."""
    deleting.set(keep=1)
    deleting.copies_made(3)
    due(deleting)
    deleting.offsite.world.advance(hours=25)
    refusals: list[object] = []

    def refused(_store: FolderStore, paths: list[str]) -> None:
        refusals.append(paths)
        raise DeletionForbidden("403")

    monkeypatch.setattr(FolderStore, "delete_all", refused)
    due(deleting)
    deleting.offsite.world.advance(hours=25)
    due(deleting)
    assert len(refusals) == 1
    assert deleting.offsite.world.recorded(CopyDeleted) == []


def test_a_destination_that_is_away_is_an_answer_not_an_error(deleting: Deleting) -> None:
    deleting.set(keep=1)
    deleting.copies_made(2)
    away = deleting.offsite.folder.with_name("unplugged")
    shutil.move(deleting.offsite.folder, away)
    (answer,) = due(deleting)
    assert isinstance(answer, DestinationUnreachable)
    shutil.move(away, deleting.offsite.folder)


def test_the_schedulers_thread_collects(deleting: Deleting) -> None:
    deleting.set(keep=1)
    deleting.copies_made(3)
    before = set(deleting.offsite.objects("ledger/checkpoints/"))
    OffsiteThread(deleting.offsite.world.site).copy_now()
    assert deleting.with_status("deleting") == ["backup-01.db", "backup-02.db"]
    assert set(deleting.offsite.objects("ledger/checkpoints/")) > before
