"""Status looks at off-site copies: late, damaged, or only read."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.audit.keys import make_key
from commands.health.facts import status_facts, verdict_of
from commands.offsite.deleting.collect import collect
from commands.offsite.errors import DestinationUnreachable, RepositoryAhead
from commands.offsite.verify import verify_copies
from tests.commands.conftest import MakeWorld
from tests.commands.offsite.conftest import MakeOffsite, Offsite


@pytest.fixture
def offsite(make_offsite: MakeOffsite) -> Offsite:
    made = make_offsite()
    made.add()
    return made


@pytest.fixture
def make_offsite(make_world: MakeWorld, tmp_path: Path) -> MakeOffsite:
    def make(name: str = "site") -> Offsite:
        make_key("example.com/site", tmp_path / "log.key")
        world = make_world(name, checkpoint_key=tmp_path / "log.key")
        return Offsite(world, tmp_path / "nas")

    return make


def texts(offsite: Offsite) -> list[str]:
    world = offsite.world
    found = verdict_of(world.site, world.clock.now()).findings
    return [each.text for each in found if each.kind == "offsite"]


@pytest.mark.slow
def test_a_backup_that_waits_too_long_for_its_copy_is_late(offsite: Offsite) -> None:
    """Within offsite_overdue_hours nothing is said; after the copy neither."""
    first, world = offsite.backup("one"), offsite.world
    assert texts(offsite) == []
    world.advance(hours=47)
    offsite.backup("two")
    world.advance(hours=2)
    assert texts(offsite) == ["2 of 2 backups are not off-site yet at nas (newest 2 hours ago)"]
    offsite.copy(first)
    assert texts(offsite) == []
    (facts,) = status_facts(world.site, world.clock.now())["offsite"]
    assert (facts["name"], facts["copies"], facts["missing"]) == ("nas", 1, 1)


@pytest.mark.slow
def test_a_damaged_copy_is_a_finding_until_there_is_a_good_one(offsite: Offsite) -> None:
    backup, world = offsite.backup("one"), offsite.world
    offsite.copy(backup)
    (pack,) = offsite.objects("packs/")
    content = offsite.store.get(pack)
    offsite.store.delete(pack)
    list(verify_copies(world.site, world.context(), offsite.nas, "listed"))
    assert texts(offsite) == ["1 off-site copy at nas damaged: one.db"]
    assert not verdict_of(world.site, world.clock.now()).is_good
    offsite.store.put(pack, content)
    list(verify_copies(world.site, world.context(), offsite.nas, "listed"))
    assert texts(offsite) == []


def test_a_copy_that_just_failed_is_said_at_once(offsite: Offsite) -> None:
    """With its reason, long before it is late; the next copy ends it."""
    backup, world = offsite.backup("one"), offsite.world
    away = offsite.folder.rename(offsite.folder.with_name("unmounted"))
    with pytest.raises(DestinationUnreachable):
        offsite.copy(backup)
    (text,) = texts(offsite)
    assert text.startswith("the last copy to nas failed now: ")
    assert "is it mounted" in text
    assert text.endswith("; 1 of 1 backups are not off-site yet")
    assert not verdict_of(world.site, world.clock.now()).is_good
    away.rename(offsite.folder)
    offsite.copy(backup)
    assert texts(offsite) == []


def test_a_destination_that_knows_more_than_the_ledger_is_an_alarm(offsite: Offsite) -> None:
    """Until somebody has looked, and a collect ended well."""
    world = offsite.world
    unknown = "copies/00000000-0000-4000-8000-00000000abcd"
    offsite.store.put(unknown, b"by a later state of this ledger")
    with pytest.raises(RepositoryAhead):
        collect(world.site, world.context(), offsite.nas)
    (text,) = texts(offsite)
    assert text.startswith("nothing is deleted at nas")
    offsite.store.delete(unknown)
    collect(world.site, world.context(), offsite.nas)
    assert texts(offsite) == []
