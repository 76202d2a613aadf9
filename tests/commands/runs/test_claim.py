"""Claims and leases: whoever appends `backup_started` owns the run, as long as the lease holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from commands.backups import take as take_backup
from commands.backups.staging import stage_snapshot
from commands.recovery.expired_claims import is_over
from commands.recovery.recover import recover
from commands.runs import next_slot as next_slots
from commands.runs import run as run_backups
from commands.runs.claim import claim_due
from commands.runs.complete import Ended
from commands.runs.run import run_claims
from commands.scheduler.check import CheckReport, check
from commands.site import actors
from commands.site.opening import open_site
from commands.site.owner import Owner, dead_owner, is_alive
from commands.site.site import Site
from commands.site.store import make_folder, make_store
from ledger.append.leases_and_names import Lease, all_leases
from ledger.append.tables import leases
from ledger.clock import ManualClock
from ledger.events.catalog import BackupCreated
from ledger.events.scheduling import (
    BackupAbandoned,
    BackupCompleted,
    BackupStarted,
    SlotsMissed,
)
from projections.folds.schedule import Schedule
from tests.commands.conftest import MakeWorld
from tests.commands.invariants import require_whole
from tests.commands.world import World

ROOT = Path(__file__).parents[3]


def due(world: World) -> list[Schedule]:
    """The first user's row, as it stands when the run is due."""
    world.due_again()
    return [world.schedule()]


def leases_of(site: Site) -> list[Lease]:
    with site.ledger.engine.connect() as connection:
        return all_leases(connection)


def kill(site: Site) -> None:
    """What the kernel does to a killed process's site: its lock is free, all else stays."""
    os.close(site.owner.lock_descriptor)
    site.owner.lock_descriptor = -1


def start_checking(database: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.commands.checking_process", str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def check_together(processes: list[subprocess.Popen[str]], second: int) -> int:
    """Tell all to check, then wait for all; how many runs they completed."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{second}\n")
        process.stdin.flush()
    completed = 0
    for process in processes:
        assert process.stdout is not None
        completed += json.loads(process.stdout.readline())["completed"]
    return completed


def test_stale_row_loses(world: World) -> None:
    """A row that was read before somebody else claimed gets no run, and appends nothing."""
    world.configure()
    stale = due(world)
    context = world.site.context(actors.scheduler(world.site.instance))
    assert len(claim_due(world.site, context, stale)) == 1
    with world.watched() as types:
        assert claim_due(world.site, context, stale) == []
    assert types == []


def test_stale_row_does_not_hold_back_the_others(world: World) -> None:
    """Of a batch with one stale row the rest is claimed, in one append."""
    for user_id in (1, 2, 3):
        world.configure(user_id)
    world.due_again()
    rows = [world.schedule(user_id) for user_id in (1, 2, 3)]
    context = world.site.context(actors.scheduler(world.site.instance))
    assert [claim.user_id for claim in claim_due(world.site, context, rows[1:2])] == [2]
    assert [claim.user_id for claim in claim_due(world.site, context, rows)] == [1, 3]


def test_claim_and_its_lease_are_one_append(world: World) -> None:
    """The lease has the run's id, this process, and runs out after lease_seconds."""
    world.configure()
    rows = due(world)
    (claim,) = claim_due(
        world.site, world.site.context(actors.scheduler(world.site.instance)), rows
    )
    (lease,) = leases_of(world.site)
    assert lease.run_id == claim.run_id
    assert lease.owner == world.site.instance
    expires = world.clock.monotonic() + world.site.configuration.lease_seconds
    assert lease.expires_at == int(expires * 1_000_000)


def test_run_of_a_living_owner_is_left_alone_until_its_lease_runs_out(world: World) -> None:
    """Another scheduler believes a claim for lease_seconds, then abandons it."""
    first = world.open()
    world.configure()
    claim_due(first, first.context(actors.scheduler(first.instance)), due(world))
    second = world.open("act")
    assert check(second).abandoned == 0
    world.advance(seconds=first.configuration.lease_seconds + 1)
    assert check(second).abandoned == 1
    (abandoned,) = world.recorded(BackupAbandoned)
    assert abandoned.scheduler == first.instance
    assert abandoned.attempt == 1
    assert world.schedule().next_attempt == 2


def test_lost_lease_before_the_snapshot_is_recorded_publishes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose lease ran out while it copied appends no backup and leaves no file."""
    site = world.open()
    world.configure()
    claims = claim_due(site, site.context(actors.scheduler(site.instance)), due(world))

    def slow(*arguments: object, **options: object) -> take_backup.Staged:
        staged = stage_snapshot(*arguments, **options)  # type: ignore[arg-type]
        world.advance(seconds=site.configuration.lease_seconds + 1)
        return staged

    monkeypatch.setattr(run_backups, "stage_snapshot", slow)
    assert run_claims(site, world.context(), claims) == (0, 1)
    assert world.recorded(BackupCreated) == []
    assert world.files() == set()
    assert world.staged() == []


def test_lease_taken_over_meanwhile_drops_only_that_entry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a shared batch the run that lost its lease is left out, the others are done."""
    site = world.open()
    for user_id in (1, 2, 3):
        world.configure(user_id)
    world.due_again()
    rows = [world.schedule(user_id) for user_id in (1, 2, 3)]
    claims = claim_due(site, site.context(actors.scheduler(site.instance)), rows)

    def robbed(*arguments: object, **options: object) -> take_backup.Staged:
        with site.ledger.engine.begin() as connection:
            theirs = leases.c.run_id == claims[0].run_id
            connection.execute(update(leases).where(theirs).values(owner="somebody"))
        return stage_snapshot(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(run_backups, "stage_snapshot", robbed)
    assert run_claims(site, world.context(), claims) == (2, 1)
    created = world.recorded(BackupCreated)
    assert {each.run_id for each in created} == {claim.run_id for claim in claims[1:]}
    assert [each.shared_with is None for each in created] == [True, False]


@pytest.mark.slow
def test_run_with_a_recorded_backup_is_finished_by_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lease lost after backup_created: whoever finds it publishes, retains, completes."""
    first = world.open()
    world.configure(keep_count=1)
    check(first)
    world.due_again()
    check(first)  # one that retention will delete
    claims = claim_due(first, first.context(actors.scheduler(first.instance)), due(world))
    monkeypatch.setattr(run_backups, "publish_all", lambda *_: {})
    monkeypatch.setattr(run_backups, "complete_runs", lambda *_: Ended())
    run_claims(first, world.context(), claims)  # hangs before it publishes
    second = world.open("act")
    world.advance(seconds=first.configuration.lease_seconds + 1)
    report = check(second)
    assert (report.completed, report.abandoned) == (1, 0)
    assert world.recorded(BackupCompleted)[-1].run_id == claims[0].run_id
    assert world.recorded(BackupCompleted)[-1].deleted_old_backups == 1
    assert len(world.files()) == 1
    world.close()
    world.open("act")
    world.check()
    require_whole(world.site)


def test_run_with_a_backup_in_another_store_is_left_to_those_who_have_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine with another folder publishes nothing, and keeps nobody from finishing it."""
    first = world.open()
    world.configure()
    claims = claim_due(first, first.context(actors.scheduler(first.instance)), due(world))
    with monkeypatch.context() as patched:
        patched.setattr(run_backups, "publish_all", lambda *_: {})
        patched.setattr(run_backups, "complete_runs", lambda *_: Ended())
        run_claims(first, world.context(), claims)
    (lease,) = leases_of(first)
    world.advance(seconds=first.configuration.lease_seconds + 1)
    elsewhere = tmp_path / "elsewhere"
    make_folder(elsewhere)
    make_store(elsewhere)
    ledger = str(world.backups / "ledger.sqlite")
    other = world.open("act", backups=elsewhere, ledger=ledger)
    assert check(other) == CheckReport()
    assert leases_of(first) == [lease]
    assert list(elsewhere.glob("*.db")) == []
    assert check(world.open("act")).completed == 1
    assert len(world.files()) == 1
    world.close()
    world.open("act")
    world.check()
    require_whole(world.site)


@pytest.mark.parametrize("how", ["completed", "abandoned"])
def test_slot_is_not_run_again_when_a_slow_clock_finishes_it(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Whoever takes a run over may have a clock before its slot; the next one is a later one."""
    first = world.open()
    world.configure(enabled=True, backup_time="03:00")
    claims = claim_due(first, first.context(actors.scheduler(first.instance)), due(world))
    if how == "completed":
        with monkeypatch.context() as patched:
            patched.setattr(run_backups, "publish_all", lambda *_: {})
            patched.setattr(run_backups, "complete_runs", lambda *_: Ended())
            run_claims(first, world.context(), claims)
    else:
        monkeypatch.setattr(next_slots, "has_retry_left", lambda _attempt: False)
    with first.ledger.engine.begin() as connection:
        connection.execute(update(leases).values(expires_at=-1))
    slow = open_site(
        first.configuration, "act", clock=ManualClock(claims[0].slot - timedelta(hours=5))
    )
    report = check(slow)
    slow.close()
    assert (report.completed, report.abandoned) == ((1, 0) if how == "completed" else (0, 1))
    assert world.schedule().next_backup_at == claims[0].slot + timedelta(days=1)


def test_slots_that_passed_while_a_run_was_unfinished_are_recorded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine was off for three days after its append: the run is done, the others are missed."""
    first = world.open()
    world.configure()
    claims = claim_due(first, first.context(actors.scheduler(first.instance)), due(world))
    with monkeypatch.context() as patched:
        patched.setattr(run_backups, "publish_all", lambda *_: {})
        patched.setattr(run_backups, "complete_runs", lambda *_: Ended())
        run_claims(first, world.context(), claims)
    kill(first)
    world.advance(days=3, hours=1)
    world.open("act")
    world.check()
    (completed,) = world.recorded(BackupCompleted)
    assert completed.slot == claims[0].slot
    (missed,) = world.recorded(SlotsMissed)
    day = timedelta(days=1)
    assert (missed.first_slot, missed.last_slot) == (completed.slot + day, completed.slot + 3 * day)
    assert missed.count == 3
    assert world.schedule().next_backup_at == completed.slot + 4 * day
    world.close()
    world.open("act")
    world.check()
    require_whole(world.site)


def test_free_lock_ends_a_claim_before_its_time(world: World) -> None:
    """The kernel frees a dead owner's lock at once: nobody waits for the lease to run out."""
    first = world.open()
    world.configure()
    claim_due(first, first.context(actors.scheduler(first.instance)), due(world))
    kill(first)
    second = world.open("act")
    assert check(second).abandoned == 0  # recovery has settled it already, as the folder is found
    (abandoned,) = world.recorded(BackupAbandoned)
    assert abandoned.scheduler == first.instance
    assert leases_of(second) == []


def test_time_of_an_earlier_boot_is_never_believed(world: World) -> None:
    """A lease that ends further ahead than any renewal sets it is over; so is a dead owner's."""
    site = world.open()
    site.owner  # noqa: B018
    now = int(world.clock.monotonic() * 1_000_000)
    soon = int((world.clock.monotonic() + 10) * 1_000_000)
    far = int((world.clock.monotonic() + 500_000) * 1_000_000)
    other = world.open("act")
    other.owner  # noqa: B018
    assert is_over(site, Lease("a", other.instance, far), now)
    assert not is_over(site, Lease("a", other.instance, soon), now)
    kill(other)
    assert is_over(site, Lease("a", other.instance, soon), now)


@pytest.mark.slow
def test_abandoned_run_counts_as_an_attempt(world: World) -> None:
    """Five times abandoned and once more: then the slot is given up for the next one."""
    world.configure()
    first_slot = world.schedule().next_backup_at
    for attempt in range(1, 7):
        world.due_again()
        assert world.schedule().next_attempt == attempt
        site = world.open("act")
        claim_due(site, site.context(actors.scheduler(site.instance)), [world.schedule()])
        kill(site)
        world.open("act")
        recover(world.site)
    assert [each.attempt for each in world.recorded(BackupAbandoned)] == [1, 2, 3, 4, 5, 6]
    assert {each.slot for each in world.recorded(BackupStarted)} == {first_slot}
    assert first_slot is not None
    assert world.schedule().next_backup_at == first_slot + timedelta(days=1)
    assert world.schedule().next_attempt == 1


@pytest.mark.slow
def test_two_processes_run_each_slot_once(world: World) -> None:
    """Two schedulers that check at the same moments share the work and never repeat it."""
    users, days = 8, 6
    for user_id in range(1, users + 1):
        world.configure(user_id)
    world.close()
    processes = [start_checking(world.database) for _ in range(2)]
    completed = sum(
        check_together(processes, day * 86_400 + 10_800)
        for day in range(days)
        for _ in range(2)  # the second time finds what the first left to the other one
    )
    for process in processes:
        process.communicate(timeout=30)
        assert process.returncode == 0
    world.open("act")
    runs = world.recorded(BackupCompleted)
    assert completed == len(runs) == users * days
    require_whole(world.site)


def test_owner_survives_a_recovery_that_takes_its_new_folder_for_a_dead_ones(
    tmp_path: Path,
) -> None:
    """A folder cleared between its making and its locking is made again, and locked."""
    staging = tmp_path / ".staging"
    (staging / "me").mkdir(parents=True)
    (staging / "me" / "lock").touch()
    with dead_owner(staging / "me") as is_dead:
        assert is_dead
        (staging / "me" / "lock").unlink()
        (staging / "me").rmdir()
        owner = Owner(staging, "me")
        assert is_alive(staging, "me")
        with owner.staging("x") as path:
            path.touch()
    path.unlink()
    owner.close()
    assert not (staging / "me").exists()


def test_no_lease_is_left_after_a_run(make_world: MakeWorld) -> None:
    """Completed, failed: either way the lease row ends with the run."""
    world = make_world()
    world.configure()
    world.due_again()
    world.check()
    world.due_again()
    world.database.rename(world.folder / "away.db")
    world.check()
    with world.site.ledger.engine.connect() as connection:
        assert connection.execute(select(leases)).all() == []
