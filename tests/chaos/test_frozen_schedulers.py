"""A scheduler that stands still past its lease and wakes up: whatever it does then is too late."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from commands.scheduler.check import check
from commands.scheduler.checks import Checks
from ledger.append.tables import leases
from ledger.events.catalog import BackupCreated
from ledger.events.scheduling import BackupAbandoned, BackupCompleted
from tests.chaos.aftermath import (
    Story,
    require_each_slot_once,
    require_folder_is_catalog,
    require_rebuilt_alike,
    require_sound,
)
from tests.chaos.machine import Machine
from tests.commands.conftest import MakeWorld
from tests.commands.world import World

BEFORE_THE_APPEND = ("claimed", "staged")
AFTER_THE_APPEND = ("created", "published")


def machine_of(world: World, **settings: Any) -> Machine:
    """Another scheduler for the same database and folder."""
    chosen = {"database": str(world.database), "backups": str(world.backups)}
    machine = Machine(chosen | world.options | settings, world.folder / "log.txt")
    assert machine.answer(wait_seconds=30)
    return machine


def expire_leases(world: World) -> None:
    """What time does to the leases of somebody who does not renew them."""
    with world.site.ledger.engine.begin() as connection:
        connection.execute(update(leases).values(expires_at=-1))


def wake(machine: Machine) -> dict[str, Any]:
    machine.thaw()
    answer = machine.answer(wait_seconds=60)
    assert answer is not None
    return answer


def require_all_well(world: World) -> None:
    Checks(world.site).check()
    require_sound(world.site.ledger)
    require_rebuilt_alike(world.site)
    require_folder_is_catalog(world.site)
    story = Story.of(world.site.ledger)
    require_each_slot_once(story, story.slots.values())


def two_due(world: World) -> None:
    world.site.source_id(world.context())
    world.configure(1)
    world.configure(2)
    world.due_again()


@pytest.mark.both_databases
def test_scheduler_that_wakes_up_too_late_publishes_nothing(make_world: MakeWorld) -> None:
    """Frozen after its claim, or with a copy staged: its runs are abandoned, and no file comes."""
    world = make_world()
    two_due(world)
    for step in BEFORE_THE_APPEND:
        with machine_of(world) as machine:
            machine.check(world.clock.now(), freeze=step)
            machine.wait_until_frozen()
            expire_leases(world)
            files = world.files()
            assert check(world.site).abandoned == 2
            with world.watched() as types:
                assert wake(machine) == {"completed": 0, "failed": 2, "abandoned": 0, "missed": 0}
            assert types == []
            assert world.files() == files
            assert world.staged() == []
            machine.stop()
        world.due_again(1)
        world.due_again(2)
    assert world.recorded(BackupCreated) == []
    assert len(world.recorded(BackupAbandoned)) == 4
    assert world.check().completed == 2
    require_all_well(world)


@pytest.mark.both_databases
def test_what_it_had_recorded_is_finished_by_another(make_world: MakeWorld) -> None:
    """Frozen after the append: the other one publishes and completes, once."""
    world = make_world()
    two_due(world)
    for number, step in enumerate(AFTER_THE_APPEND, 1):
        with machine_of(world) as machine:
            machine.check(world.clock.now(), freeze=step)
            machine.wait_until_frozen()
            expire_leases(world)
            assert check(world.site).completed == 2
            with world.watched() as types:
                assert wake(machine)["completed"] == 0
            assert types == []
            machine.stop()
        assert len(world.recorded(BackupCompleted)) == len(world.files()) == 2 * number
        world.due_again()
    require_all_well(world)


def test_writer_that_freezes_with_the_head_in_its_hands_is_cut_off(
    make_world: MakeWorld, on_server: dict[str, str]
) -> None:
    """On a server: others wait for a moment, not for ever; what it held is undone."""
    world = make_world(**on_server)
    two_due(world)
    with machine_of(world, idle_writer_seconds=1) as machine:
        machine.check(world.clock.now(), freeze="appending")
        machine.wait_until_frozen()
        expire_leases(world)
        assert check(world.site).abandoned == 2
        assert wake(machine)["completed"] == 0
        machine.stop()
    assert world.recorded(BackupCreated) == []
    require_all_well(world)


def test_lease_runs_out_by_the_servers_clock(
    make_world: MakeWorld, on_server: dict[str, str]
) -> None:
    """Hours between the machines' clocks change nothing: the lease of 5 s lasts 5 s."""
    world = make_world(**on_server, lease_seconds=5)
    two_due(world)
    with machine_of(world, lease_seconds=5, clock_offset_seconds=7_200) as machine:
        machine.check(world.clock.now(), freeze="staged")
        machine.wait_until_frozen()
        world.advance(hours=12)
        assert check(world.site).abandoned == 0
        while not check(world.site).abandoned:
            world.advance(seconds=1)
        assert wake(machine)["completed"] == 0
        machine.stop()
    world.advance(hours=1)
    assert world.check().completed == 2
    require_all_well(world)
