"""Who is alive, who does what: by starts and stops, locks and leases."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import text, update

from commands.health import presence
from commands.health.facts import verdict_of
from commands.health.presence import (
    Presence,
    count_others_ready,
    count_schedulers,
    labels_alive,
    not_ready_among,
    present_among,
)
from commands.health.roster import GONE_OF_A_HOST, holds, schedulers_of
from commands.runs.claim import claim_due
from commands.scheduler.check import batch_of
from commands.scheduler.recording import record_start, record_stop
from commands.site import actors
from commands.site.opening import open_site
from commands.site.site import Site
from commands.site.store import make_folder, make_store
from ledger.append.backend import SECOND, backend_of
from ledger.append.schedulers import FORGOTTEN_SECONDS, leave, scheduler_rows
from ledger.append.tables import leases, schedulers
from projections.folds.schedule import Schedule
from tests.commands.conftest import MakeWorld
from tests.commands.world import World
from tests.postgresql_server import Server

DEADLINE_SECONDS = 20


def die(site: Site) -> None:
    """As a kill leaves it: the lock is free, and nothing was said."""
    os.close(site.owner.lock_descriptor)
    site.owner.lock_descriptor = -1


def states(site: Site) -> list[tuple[str, str, int]]:
    return [(each.instance, each.state, each.runs) for each in schedulers_of(site)]


@pytest.mark.slow
def test_a_scheduler_is_idle_working_stuck_or_gone(world: World) -> None:
    """Its lock shows that it is there, its leases what it does and whether it stands still."""
    site, watcher = world.open(), world.open("act")
    world.configure()
    assert states(watcher) == []
    record_start(site)
    assert states(watcher) == [(site.instance, "idle", 0)]
    world.due_again()
    (claim,) = claim_due(site, site.context(actors.scheduler(site.instance)), [world.schedule()])
    assert states(watcher) == [(site.instance, "working", 1)]
    assert holds(watcher)[claim.run_id].scheduler == site.instance
    assert not holds(watcher)[claim.run_id].is_over
    world.advance(seconds=site.configuration.lease_seconds + 1)
    assert states(watcher) == [(site.instance, "stuck", 1)]
    assert holds(watcher)[claim.run_id].is_over
    die(site)
    assert states(watcher) == [(site.instance, "gone", 1)]
    (seen,) = schedulers_of(watcher)
    assert (seen.pid, seen.check_interval_seconds) == (os.getpid(), 60)


def test_a_dead_one_is_named_although_another_began_on_its_host(world: World) -> None:
    """For a week, or until one that came later has stopped properly; who has runs, for longer."""
    dead, later = world.open(), world.open("act")
    record_start(dead)
    die(dead)
    record_start(later)
    assert states(later) == [(later.instance, "idle", 0), (dead.instance, "gone", 0)]
    world.advance(days=8)
    assert states(later) == [(later.instance, "idle", 0)]
    record_stop(later, "told to")
    assert states(later) == []


@pytest.mark.slow
def test_of_one_that_crashes_again_and_again_the_newest_are_named(world: World) -> None:
    """A supervisor restarts it every few seconds, for a night."""
    world.open()
    sites = [world.open("act") for _ in range(GONE_OF_A_HOST + 5)]
    for site in sites:
        record_start(site)
        die(site)
    found = states(world.sites[0])
    assert [state for _instance, state, _runs in found] == ["gone"] * GONE_OF_A_HOST
    assert found[0][0] == sites[-1].instance


def test_status_names_who_ended_without_a_word(world: World) -> None:
    """Whether a newer one runs there makes the difference in what to do."""
    dead, later = world.open(), world.open("act")
    record_start(dead)
    die(dead)
    found = verdict_of(later, world.clock.now()).findings
    (gone,) = (each for each in found if each.kind == "scheduler")
    assert gone.text == f"1 scheduler ended without a word: {dead.instance}"
    assert gone.advice == "start another one: backup-ledger run"
    record_start(later)
    found = verdict_of(later, world.clock.now()).findings
    (gone,) = (each for each in found if each.kind == "scheduler")
    assert gone.text == f"1 scheduler ended without a word: {dead.instance}"
    assert "a newer one runs there" in gone.advice


@pytest.mark.slow
def test_schedulers_on_other_machines_are_seen_through_the_server(
    make_world: MakeWorld, postgresql: Server, tmp_path: Path
) -> None:
    """Each has a folder of its own, so there is no lock that the other could look at."""
    url = postgresql.new_database()
    world = make_world(ledger=url, projections=url)
    here = world.open()
    folder = tmp_path / "elsewhere"
    make_folder(folder)
    make_store(folder)
    there = open_site(
        here.configuration.model_copy(update={"backups": folder}), "act", clock=world.clock
    )
    record_start(there)
    assert [each.state for each in schedulers_of(here)] == ["gone"]
    with Presence(there), Presence(here):
        assert [each.state for each in schedulers_of(here)] == ["idle"]
        assert count_schedulers(here) == 2
        assert present_among(here, [there.instance, "nobody"]).keys() == {there.instance}
    assert count_schedulers(here) == 1
    assert [each.state for each in schedulers_of(here)] == ["gone"]
    there.close()


def test_presence_comes_back_after_its_connections_were_cut(
    make_world: MakeWorld, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server was restarted, or the network failed."""
    monkeypatch.setattr(presence, "LOOK_SECONDS", 0.02)
    url = postgresql.new_database()
    site = make_world(ledger=url, projections=url).open()
    with Presence(site):
        for _ in range(2):
            with site.ledger.engine.begin() as connection:
                leave(connection, site.instance)
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
            deadline = time.monotonic() + DEADLINE_SECONDS
            while not present_among(site, [site.instance]):
                assert time.monotonic() < deadline
    assert present_among(site, [site.instance]) == {}


@pytest.mark.both_databases
def test_labels_and_readiness_stand_in_the_row(world: World) -> None:
    """They are the last that the scheduler said; when it ends the row goes."""
    site, watcher = world.open(labels=("office",), label_users={"office": "1"}), world.open("act")
    record_start(site)
    problem: list[str | None] = [None]
    with Presence(site, lambda: problem[0]) as present:
        assert labels_alive(watcher) == [("office",)]
        assert not_ready_among(watcher, [site.instance]) == set()
        problem[0] = "its disk is gone"
        present._look()
        assert not_ready_among(watcher, [site.instance]) == {site.instance}
        (seen,) = schedulers_of(watcher)
        assert (seen.state, seen.labels) == ("not ready", ("office",))
    with site.ledger.engine.connect() as connection:
        assert scheduler_rows(connection, site.clock.monotonic()) == []


@pytest.mark.both_databases
def test_a_killed_scheduler_is_gone_although_its_row_is_there(world: World) -> None:
    """Its lock in our folder is free, so nobody waits until its row was silent for long."""
    site, watcher = world.open(), world.open("act")
    record_start(site)
    present = Presence(site)
    present._look()
    assert [each.state for each in schedulers_of(watcher)] == ["idle"]
    die(site)
    assert [each.state for each in schedulers_of(watcher)] == ["gone"]
    assert not_ready_among(watcher, [site.instance]) == set()


def test_a_scheduler_elsewhere_that_says_nothing_is_stuck_and_then_gone(
    make_world: MakeWorld, postgresql: Server, tmp_path: Path
) -> None:
    """By the server's clock; and a day later its row is forgotten when another one begins."""
    url = postgresql.new_database()
    world = make_world(ledger=url, projections=url)
    here = world.open()
    folder = tmp_path / "elsewhere"
    make_folder(folder)
    make_store(folder)
    configuration = here.configuration.model_copy(update={"backups": folder})
    there = open_site(configuration, "act", clock=world.clock)
    record_start(there)
    Presence(there)._look()

    def silent_for(seconds: float) -> None:
        with here.ledger.engine.begin() as connection:
            now = backend_of(connection).lease_now(connection, 0)
            seen_at = now - int(seconds * SECOND)
            connection.execute(update(schedulers).values(seen_at=seen_at))

    found = []
    for seconds in (0, presence.SILENT_SECONDS + 1, presence.GONE_SECONDS + 1):
        silent_for(seconds)
        found.append((schedulers_of(here)[0].state, count_others_ready(here)))
    assert found == [("idle", 1), ("stuck", 0), ("gone", 0)]
    silent_for(FORGOTTEN_SECONDS + 1)
    Presence(here)._look()
    with here.ledger.engine.connect() as connection:
        (row,) = scheduler_rows(connection, 0)
    assert row.instance == here.instance
    there.close()


def test_stuck_is_judged_by_the_servers_clock(make_world: MakeWorld, postgresql: Server) -> None:
    """Whatever the clock of the machine says that looks."""
    url = postgresql.new_database()
    world = make_world(ledger=url, projections=url)
    site = world.open()
    world.configure()
    record_start(site)
    world.due_again()
    claim_due(site, site.context(actors.scheduler(site.instance)), [world.schedule()])
    world.advance(days=400)
    assert states(site) == [(site.instance, "working", 1)]
    with site.ledger.engine.begin() as connection:
        connection.execute(update(leases).values(expires_at=leases.c.expires_at - 10**12))
    assert states(site) == [(site.instance, "stuck", 1)]


def test_schedulers_begin_at_different_places_and_always_at_the_same(world: World) -> None:
    """Whole batches; between them they begin at every one. A single one is for who is first."""
    world.configure()
    row = world.schedule()
    due = [Schedule(**(vars_of(row) | {"user_id": number})) for number in range(1, 351)]
    begun = {batch_of(due, f"host-{number}-abc", 100)[0].user_id: None for number in range(100)}
    assert sorted(begun) == [1, 101, 201, 301]
    assert batch_of(due, "host-1-abc", 100) == batch_of(due, "host-1-abc", 100)
    assert batch_of(due[:100], "host-1-abc", 100) == due[:100]
    assert batch_of([], "host-1-abc", 100) == []


def vars_of(row: Schedule) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}
