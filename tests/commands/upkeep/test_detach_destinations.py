"""A copied ledger and its source only read off-site, until one of them is attached again."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.offsite.change import attach_destination
from commands.offsite.copy_all import copy_missing
from commands.offsite.errors import DestinationConflict
from commands.site.configuration import sqlite_url
from commands.upkeep.copy_ledger import copy_between
from ledger.append.database import open_engine
from ledger.append.ledger import Ledger
from ledger.clock import SystemClock
from ledger.events.housekeeping import LedgerMoved
from ledger.events.offsite import DestinationDetached
from ledger.verify.verify import verify
from tests.commands.offsite.conftest import MakeOffsite, Offsite, make_offsite  # noqa: F401


def source_of(offsite: Offsite) -> str:
    return str(offsite.world.backups / "ledger.sqlite")


@pytest.mark.slow
def test_both_only_read_until_one_is_attached(
    make_offsite: MakeOffsite,  # noqa: F811
    tmp_path: Path,
) -> None:
    offsite = make_offsite()
    offsite.add()
    offsite.backup("one")
    target = tmp_path / "moved.sqlite"
    done = copy_between(source_of(offsite), str(target))
    site = offsite.world.site
    assert [each.place for each in offsite.world.recorded(LedgerMoved)] == [str(target)]
    assert done.size == site.ledger.log_recorder.head().size
    assert not offsite.nas.is_attached
    engine = open_engine(sqlite_url(target))
    try:
        assert verify(engine).ok
        kinds = [each.event.details for each in Ledger(engine, SystemClock()).recorded()]
    finally:
        engine.dispose()
    assert sum(isinstance(each, DestinationDetached) for each in kinds) == 1
    with pytest.raises(DestinationConflict, match="offsite attach nas"):
        copy_missing(site, offsite.world.context(), to="nas")
    again = copy_between(source_of(offsite), str(target))
    assert (again.began_at, again.size) == (done.size, done.size)
    assert attach_destination(site, offsite.world.context(), offsite.nas)
    assert [each.error for each in copy_missing(site, offsite.world.context())] == [None]


def test_without_destinations_a_copy_changes_nothing_in_its_source(
    make_offsite: MakeOffsite,  # noqa: F811
    tmp_path: Path,
) -> None:
    offsite = make_offsite()
    with offsite.world.watched() as types:
        copy_between(source_of(offsite), str(tmp_path / "copy.sqlite"))
    assert types == []


def test_for_a_copy_that_is_only_kept_the_source_goes_on(
    make_offsite: MakeOffsite,  # noqa: F811
    tmp_path: Path,
) -> None:
    """As a backup of the ledger, each night; it takes in what came since."""
    offsite = make_offsite()
    offsite.add()
    target = str(tmp_path / "copy.sqlite")
    copy_between(source_of(offsite), target, spare=True)
    offsite.backup("one")
    again = copy_between(source_of(offsite), target, spare=True)
    assert again.size > again.began_at
    assert offsite.nas.is_attached
    assert offsite.world.recorded(LedgerMoved) == []
