"""What a monitoring system is told of off-site copies."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from commands.health.offsite_metrics import offsite_metrics
from commands.offsite.copy_all import copy_missing
from commands.offsite.errors import DestinationUnreachable
from commands.offsite.verify import verify_copies
from tests.commands.offsite.conftest import MakeOffsite, Offsite, make_offsite, offsite
from tests.commands.world import World

__all__ = ["make_offsite", "offsite"]


def read(world: World) -> dict[tuple[str, ...], float]:
    """Name and the labels' values -> number."""
    return {
        (each.name, *(value for _, value in sample.labels)): sample.value
        for each in offsite_metrics(world.site)
        for sample in each.samples
    }


def test_without_a_destination_there_are_names_and_no_numbers(make_offsite: MakeOffsite) -> None:
    assert read(make_offsite().world) == {}


@pytest.mark.slow
def test_what_is_there_what_is_missing_and_how_old_it_is(offsite: Offsite) -> None:
    world = offsite.world
    found = read(world)
    assert found["offsite_newest_copy_age_seconds", "nas"] == math.inf
    assert found["offsite_ledger_lag_events", "nas"] == world.site.ledger.log_recorder.head().size
    offsite.backup("one")
    copy_missing(world.site, world.context())
    world.advance(hours=2)
    list(verify_copies(world.site, world.context(), offsite.nas, "listed"))
    world.advance(hours=3)
    offsite.backup("two")
    world.advance(hours=1)
    found = read(world)
    assert found["offsite_copies", "nas", "ok"] == 1
    assert found["offsite_missing_backups", "nas"] == 1
    assert found["offsite_backup_lag_seconds", "nas"] == 3_600
    assert found["offsite_newest_copy_age_seconds", "nas"] == 6 * 3_600
    assert found["offsite_verification_age_seconds", "nas"] == 4 * 3_600
    assert found["offsite_stored_bytes", "nas"] == offsite.copies()[0].sent_bytes
    assert 0 < found["offsite_ledger_lag_events", "nas"] < 10


@pytest.mark.slow
def test_failures_are_counted_and_damage_shows(offsite: Offsite, tmp_path: Path) -> None:
    world = offsite.world
    backup = offsite.backup("one")
    away = offsite.folder.rename(tmp_path / "away")
    with pytest.raises(DestinationUnreachable):
        offsite.copy(backup)
    away.rename(offsite.folder)
    offsite.copy(backup)
    (pack,) = offsite.objects("packs/")
    offsite.store.delete(pack)
    list(verify_copies(world.site, world.context(), offsite.nas, "listed"))
    found = read(world)
    assert found["offsite_failures_total", "nas"] == 1
    assert (found["offsite_copies", "nas", "ok"], found["offsite_copies", "nas", "corrupt"]) == (
        0,
        1,
    )
