"""Which copies are due to be looked at, and the scheduler's looks at them."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.errors import InvalidArgument
from commands.offsite.copy_all import copy_missing
from commands.offsite.errors import WrongKey
from commands.offsite.keys import configured_identities
from commands.offsite.watching.drills import check_due
from commands.offsite.watching.verify_due import due_copies, verify_due
from ledger.events.offsite import CopyCorrupt, CopyFetched, CopyVerified
from tests.commands.offsite.conftest import IDENTITIES, MakeOffsite, Offsite


def due(offsite: Offsite, *, may_open: bool = True) -> dict[str, list[str]]:
    """Names of the copies that are due, by level."""
    found = due_copies(offsite.world.site, offsite.nas, may_open=may_open)
    return {level: [each.filename for each in copies] for level, copies in found.items() if copies}


def test_each_copy_is_due_at_the_strongest_level_that_is(make_offsite: MakeOffsite) -> None:
    """Of a source only the newest copy is drilled; without a key none is."""
    offsite = make_offsite(offsite_listed_days=7, offsite_digest_days=14, offsite_drill_days=30)
    offsite.add()
    offsite.copy(offsite.backup("one"))
    offsite.copy(offsite.backup("two"))
    world = offsite.world
    assert due(offsite) == {}
    world.advance(days=7)
    assert due(offsite) == {"listed": ["one.db", "two.db"]}
    world.advance(days=7)
    assert due(offsite) == {"digest": ["one.db", "two.db"]}
    list(verify_due(world.site, world.context(), offsite.nas))
    assert due(offsite) == {}
    world.advance(days=16)
    assert due(offsite) == {"drill": ["two.db"], "digest": ["one.db"]}
    assert due(offsite, may_open=False) == {"digest": ["one.db", "two.db"]}


def test_never_is_never(make_offsite: MakeOffsite) -> None:
    offsite = make_offsite(offsite_listed_days=0, offsite_digest_days=0, offsite_drill_days=0)
    offsite.add()
    offsite.copy(offsite.backup("one"))
    offsite.world.advance(days=4000)
    assert due(offsite) == {}


@pytest.fixture
def with_identity(make_offsite: MakeOffsite, tmp_path: Path) -> Offsite:
    file = tmp_path / "identity.txt"
    file.write_text(f"{IDENTITIES[0]}\n")
    file.chmod(0o600)
    offsite = make_offsite(offsite_identity=file)
    offsite.add()
    return offsite


def test_the_scheduler_drills_with_the_configured_identity(with_identity: Offsite) -> None:
    """Fetched, opened, counted: recorded as a drill that a key was used for."""
    offsite, world = with_identity, with_identity.world
    offsite.backup("one")
    copy_missing(world.site, world.context())
    world.advance(days=30)
    check_due(world.site, world.context(), lambda: False)
    (checked,) = world.recorded(CopyVerified)
    assert (checked.level, checked.opened) == ("drill", True)
    assert [each.reason for each in world.recorded(CopyFetched)] == ["drill"]
    assert [each.proved for each in offsite.copies()] == [True]
    check_due(world.site, world.context(), lambda: False)
    assert len(world.recorded(CopyVerified)) == 1


def test_what_a_drill_finds_is_recorded(with_identity: Offsite) -> None:
    offsite, world = with_identity, with_identity.world
    offsite.copy(offsite.backup("one"))
    (pack,) = offsite.objects("packs/")
    content = offsite.store.get(pack)
    offsite.store.put(pack, content[:-1] + bytes([content[-1] ^ 1]))
    world.advance(days=30)
    check_due(world.site, world.context(), lambda: False)
    assert {each.level for each in world.recorded(CopyCorrupt)} == {"digest", "drill"}


def test_without_an_identity_the_listing_is_looked_at(offsite: Offsite) -> None:
    world = offsite.world
    offsite.copy(offsite.backup("one"))
    world.advance(days=30)
    check_due(world.site, world.context(), lambda: True)
    assert world.recorded(CopyVerified) == []  # it was stopped
    check_due(world.site, world.context(), lambda: False)
    assert [each.level for each in world.recorded(CopyVerified)] == ["listed"]


def test_a_destination_that_is_away_is_looked_at_another_time(
    offsite: Offsite, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = offsite.world
    offsite.copy(offsite.backup("one"))
    world.advance(days=30)
    offsite.folder.rename(tmp_path / "away")
    check_due(world.site, world.context(), lambda: False)
    assert "were not verified" in caplog.text
    assert world.recorded(CopyCorrupt) == []


def test_an_identity_that_others_can_read_is_refused(
    make_offsite: MakeOffsite, tmp_path: Path
) -> None:
    file = tmp_path / "identity.txt"
    file.write_text("nothing of the kind\n")
    file.chmod(0o644)
    site = make_offsite(offsite_identity=file).world.site
    with pytest.raises(InvalidArgument, match="chmod 600"):
        configured_identities(site)
    file.chmod(0o600)
    with pytest.raises(WrongKey, match="holds no identity"):
        configured_identities(site)
    file.unlink()
    with pytest.raises(InvalidArgument, match="offsite_identity"):
        configured_identities(site)
