"""What a dead scheduler leaves of a herd is settled by another one, many claims at a time."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, update

from commands.recovery import expired_claims
from commands.recovery.expired_claims import resolve_expired_claims
from commands.runs import batches as together
from commands.runs import run as run_backups
from commands.runs.claim import Claim, claim_due
from commands.runs.complete import Ended
from commands.runs.run import run_claims
from commands.scheduler.check import CheckReport
from commands.site import actors
from commands.site.site import Site
from ledger.append.leases_and_names import all_leases
from ledger.append.tables import leases
from ledger.events.scheduling import BackupAbandoned, BackupCompleted, BackupFailed
from projections.queries.schedules import all_schedules
from tests.commands.invariants import require_whole
from tests.commands.world import World, counted_appends

USERS = 8
RECORDED = 5
pytestmark = pytest.mark.both_databases


@pytest.fixture
def abandoned(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Eight claims of a scheduler that died: five backups are recorded, none has its name."""
    monkeypatch.setattr(together, "TOGETHER", 4)
    first = world.open()
    for user_id in range(1, USERS + 1):
        world.configure(user_id)
    world.due_again()
    with first.read_models.reading() as connection:
        rows = all_schedules(connection)
    claims = claim_due(first, first.context(actors.scheduler(first.instance)), rows)
    with monkeypatch.context() as patched:
        patched.setattr(run_backups, "publish_all", lambda *_: {})
        patched.setattr(run_backups, "complete_runs", lambda *_: Ended())
        run_claims(first, world.context(), claims[:RECORDED])
    assert world.files() == set()
    with first.ledger.engine.begin() as connection:
        connection.execute(update(leases).values(expires_at=-1))
    return world


def ends(world: World) -> dict[str, set[str]]:
    kinds = (BackupCompleted, BackupAbandoned, BackupFailed)
    return {kind.__name__: {each.user_id for each in world.events_of(kind)} for kind in kinds}


def users(first: int, last: int) -> set[str]:
    return {str(user_id) for user_id in range(first, last + 1)}


@pytest.mark.slow
def test_recorded_backups_are_published_and_finished_and_the_rest_is_tried_again(
    abandoned: World,
) -> None:
    """Two batches: four that are finished; one that is, and three that are abandoned."""
    second = abandoned.open("act")
    with counted_appends() as appends:
        settled = resolve_expired_claims(second, second.context(actors.SYSTEM))
    assert settled == (RECORDED, USERS - RECORDED)
    # Announcements of retention, of which there are none; ends; and those of the abandoned.
    assert sorted(appends) == sorted([0, 2 * 4, 0, 2 * 1, 3])
    assert ends(abandoned) == {
        "BackupCompleted": users(1, RECORDED),
        "BackupAbandoned": users(RECORDED + 1, USERS),
        "BackupFailed": set(),
    }
    assert len(abandoned.files()) == RECORDED
    with second.ledger.engine.connect() as connection:
        assert all_leases(connection) == []
    runs = [each.correlation_id for each in abandoned.events_of(BackupAbandoned)]
    assert len(set(runs)) == USERS - RECORDED
    abandoned.close()
    abandoned.open("act")
    abandoned.check()
    require_whole(abandoned.site)


def test_a_claim_that_was_renewed_meanwhile_stays_its_owners(
    abandoned: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at under the lock; the others of its batch are settled."""
    take_over = expired_claims._take_over

    def renewed_just_before(site: Site, some: Any, *rest: Any) -> Any:
        mine = leases.c.run_id == some[0].run_id
        with site.ledger.engine.begin() as connection:
            connection.execute(update(leases).where(mine).values(expires_at=2**52))
        return take_over(site, some, *rest)

    second = abandoned.open("act")
    with monkeypatch.context() as patched:
        patched.setattr(expired_claims, "_take_over", renewed_just_before)
        finished, gone = resolve_expired_claims(second, second.context(actors.SYSTEM))
    assert finished + gone == USERS - 2
    with second.ledger.engine.connect() as connection:
        assert len(all_leases(connection)) == 2


def test_one_claim_that_cannot_be_settled_keeps_none_of_the_others_open(
    abandoned: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged, and tried again at the next check."""
    claim_of = expired_claims._claim_of

    def fail_for_seven(run: Any) -> Claim:
        if run.user_id == 7:
            raise ValueError("the run makes no sense")
        return claim_of(run)

    second = abandoned.open("act")
    with monkeypatch.context() as patched:
        patched.setattr(expired_claims, "_claim_of", fail_for_seven)
        assert resolve_expired_claims(second, second.context(actors.SYSTEM)) == (RECORDED, 2)
    assert resolve_expired_claims(second, second.context(actors.SYSTEM)) == (0, 1)
    assert ends(abandoned)["BackupAbandoned"] == users(6, 8)


def test_a_snapshot_that_fails_is_recorded_for_each_of_a_herd_in_few_appends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run has its own retry."""
    monkeypatch.setattr(together, "TOGETHER", 3)
    for user_id in range(1, USERS + 1):
        world.configure(user_id)
    world.due_again()
    world.database.unlink()
    before = world.site.ledger.log_recorder.head().size
    assert world.check() == CheckReport(failed=USERS)
    failed = [each for each in world.all_events(before) if each.event.success is False]
    assert len({each.event.correlation_id for each in failed}) == USERS
    assert len({each.recorded_at for each in failed}) <= 3
    assert ends(world)["BackupFailed"] == users(1, USERS)
    assert {world.schedule(user).next_attempt for user in range(1, USERS + 1)} == {2}


@pytest.mark.slow
def test_a_run_whose_lease_somebody_deleted_is_settled_all_the_same(
    abandoned: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Its user would never have a backup again: nobody looked for a run without a lease."""
    with abandoned.site.ledger.engine.begin() as connection:
        connection.execute(delete(leases))
    abandoned.open("act")
    assert abandoned.check() == CheckReport(completed=RECORDED, abandoned=USERS - RECORDED)
    assert caplog.text.count("had lost its lease") == USERS
    with abandoned.site.ledger.engine.connect() as connection:
        assert all_leases(connection) == []
    abandoned.advance(minutes=5)
    assert abandoned.check().completed == USERS - RECORDED
    abandoned.close()
    abandoned.open("act")
    abandoned.check()
    require_whole(abandoned.site)
