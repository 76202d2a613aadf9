"""What `status` says where a clock was wrong."""

from __future__ import annotations

from commands.backups.take import take_backup
from commands.health.facts import status_facts
from tests.commands.world import World


def test_backups_dated_after_now_are_named(world: World) -> None:
    """A clock ran ahead for one backup; when that time has come nothing is said any more."""
    world.configure(1, enabled=False)
    today = world.clock.now()
    take_backup(world.site, world.context(), filename="good.db")
    world.advance(days=20)
    take_backup(world.site, world.context(), filename="ahead.db")
    world.move_to(today)
    facts = status_facts(world.site, world.clock.now())
    assert facts["clock"]["dated_ahead"] == ["ahead.db"]
    assert "1 backup is dated after now: ahead.db" in " ".join(facts["warnings"])
    world.advance(days=20)
    assert status_facts(world.site, world.clock.now())["clock"]["dated_ahead"] == []
