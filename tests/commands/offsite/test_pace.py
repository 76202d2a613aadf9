"""When a destination is copied to, and how fast: its own settings before the site's."""

from __future__ import annotations

from pathlib import Path
from random import Random
from time import monotonic

import pytest

from commands.offsite.change import change_destination
from commands.offsite.copy_all import copy_due
from commands.offsite.errors import DestinationRefused
from commands.offsite.worker.pace import (
    PACE,
    WINDOW,
    is_open,
    require_window,
    upload_bytes_per_second,
)
from ledger.events.base import ChangedFields
from ledger.events.offsite import CopyStarted
from tests.commands.offsite.conftest import MakeOffsite, Offsite
from tests.commands.offsite.repositories import Repository


def change(offsite: Offsite, **settings: str | int | None) -> None:
    world, changes = offsite.world, ChangedFields(settings)
    assert change_destination(world.site, world.context(), offsite.nas, changes)


def test_a_destinations_own_pace_counts_before_the_sites(make_offsite: MakeOffsite) -> None:
    """0 of its own is not a limit, whatever the site's is."""
    offsite = make_offsite(upload_mb_per_second=3)
    offsite.add()
    assert upload_bytes_per_second(offsite.world.site, offsite.nas) == 3_000_000
    change(offsite, **{PACE: 500})
    assert upload_bytes_per_second(offsite.world.site, offsite.nas) == 500_000
    change(offsite, **{PACE: 0})
    assert upload_bytes_per_second(offsite.world.site, offsite.nas) == 0


def test_each_pack_keeps_the_pace(tmp_path: Path) -> None:
    """What was read without sending is not a credit: the only pack takes its own time."""
    repository, path = Repository(tmp_path), tmp_path / "a.db"
    path.write_bytes(Random(1).randbytes(200_000))
    begun = monotonic()
    repository.copy(path, bytes_per_second=400_000)
    assert monotonic() - begun >= 0.5


@pytest.mark.parametrize("text", ["", "22-6", "22:00", "24:00-06:00", "22:00-22:00", "22:00-06:60"])
def test_what_is_not_a_window_is_refused(text: str) -> None:
    with pytest.raises(DestinationRefused, match="such as 22:00-06:00"):
        require_window(text)


@pytest.mark.parametrize(
    ("window", "hours"),
    [("22:00-02:00", {22, 23, 0, 1}), ("01:00-03:00", {1, 2}), (None, set(range(24)))],
)
def test_a_window_may_pass_midnight(offsite: Offsite, window: str | None, hours: set[int]) -> None:
    if window is not None:
        change(offsite, **{WINDOW: window})
    day = offsite.world.clock.now()
    moments = [day.replace(hour=hour, minute=30) for hour in range(24)]
    assert {each.hour for each in moments if is_open(offsite.nas, each)} == hours


def test_the_scheduler_copies_in_the_window_only(offsite: Offsite) -> None:
    """A copy that is under way when it closes is stopped; the rest is sent the next night."""
    change(offsite, **{WINDOW: "22:00-06:00"})
    world = offsite.world
    offsite.backup("one")
    world.advance(hours=12)
    assert due(offsite) == []
    world.advance(hours=10)
    opened = world.clock.now()

    def closes_on_the_way() -> bool:
        if world.clock.now() == opened and len(world.recorded(CopyStarted)) == 3:
            world.advance(hours=9)
        return False

    offsite.backup("two")
    assert due(offsite) == ["one.db", "two.db"]
    offsite.backup("three")
    (outcome,) = copy_due(world.site, world.context(), closes_on_the_way)
    assert "window" in str(outcome.error)
    assert due(offsite) == []
    world.advance(hours=16)
    assert due(offsite) == ["three.db"]


def due(offsite: Offsite) -> list[str]:
    """Names of what a scheduler copied just now."""
    world = offsite.world
    outcomes = copy_due(world.site, world.context(), lambda: False)
    return [each.backup.filename for each in outcomes if each.error is None]
