"""Until when older copies remain that can hold what was erased."""

from __future__ import annotations

from datetime import timedelta

import pytest

from commands.backups.delete import delete_backup
from commands.backups.hold import release_holds
from commands.erasure.find import Person
from commands.erasure.status import remaining
from tests.commands.erasure.office import ANNA, erase_all, fill
from tests.commands.world import World


def test_nothing_was_erased(world: World) -> None:
    assert remaining(world.site, world.clock.now()) == []


@pytest.mark.slow
def test_the_last_older_backup_is_gone_as_retention_says(world: World) -> None:
    """Not before; and the answer is a bound that holds when the nights have passed."""
    fill(world)
    world.configure(1, keep_count=3)
    release_holds(world.site, world.context(), world.present(1)[-1].filename)
    erase_all(world.site, Person(actor=ANNA.id), "DSR-1")
    (found,) = remaining(world.site, world.clock.now())
    assert (found.erasure.ticket, found.is_unknown) == ("DSR-1", False)
    assert len(found.holders) == len(world.present(1))
    assert found.gone_by is not None
    older = {each.filename for each in world.present(1)}
    while world.clock.now() < found.gone_by + timedelta(days=1):
        world.due_again()
        world.check()
    assert older.isdisjoint(world.files())
    (found,) = remaining(world.site, world.clock.now())
    assert found.holders == ()
    assert found.gone_by is None
    assert not found.is_unknown


@pytest.mark.slow
def test_where_no_rule_deletes_it_the_date_is_unknown(world: World) -> None:
    """Held without an end; a schedule that does not run; a backup of nobody's."""
    fill(world)
    erase_all(world.site, Person(actor=ANNA.id))
    (found,) = remaining(world.site, world.clock.now())
    assert found.is_unknown
    assert found.gone_by is None
    assert "it is held without an end" in {each.why for each in found.holders}
    held = next(each for each in found.holders if each.gone_by is None)
    release_holds(world.site, world.context(), held.name)
    assert not remaining(world.site, world.clock.now())[0].is_unknown
    world.configure(1, enabled=False)
    assert remaining(world.site, world.clock.now())[0].is_unknown
    for each in world.present():
        delete_backup(world.site, world.context(), each.filename, force=True)
    assert remaining(world.site, world.clock.now())[0].holders == ()
