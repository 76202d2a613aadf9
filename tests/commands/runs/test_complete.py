"""Runs that end together: fewer appends, and still each run for itself."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from commands.runs import batches as together
from commands.runs import complete as module
from commands.scheduler.check import CheckReport, check
from commands.scheduler.checks import Checks
from ledger.append.tables import leases
from ledger.errors import LedgerUnreachable
from ledger.events.catalog import BackupDeleted, DeletionStarted
from ledger.events.retention import RetentionApplied
from ledger.events.scheduling import BackupCompleted, BackupFailed, BackupStarted, CheckFailed
from tests.commands.invariants import require_whole
from tests.commands.world import World, counted_appends

USERS = 7
pytestmark = pytest.mark.both_databases


@pytest.fixture
def herd(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Seven users, who are due at the same time and end three at a time."""
    monkeypatch.setattr(together, "TOGETHER", 3)
    for user_id in range(1, USERS + 1):
        world.configure(user_id, keep_count=1)
    world.due_again()
    return world


def next_night(world: World) -> None:
    world.advance(days=1)


@pytest.mark.slow
def test_a_herd_ends_in_few_appends_and_each_run_is_told_by_itself(herd: World) -> None:
    """Each event has its own run as correlation and cause, whatever it was appended with."""
    herd.check()
    next_night(herd)
    with counted_appends() as appends:
        assert herd.check() == CheckReport(completed=USERS)
    # Claims, entries, then for three, three and one: announcements, and the ends.
    assert appends == [USERS, USERS, 3, 9, 3, 9, 1, 3]
    runs = {each.user_id: each.event_id for each in herd.events_of(BackupStarted)[USERS:]}
    for kind in (DeletionStarted, BackupDeleted, RetentionApplied, BackupCompleted):
        events = herd.events_of(kind)[-USERS:]
        assert {each.user_id: each.correlation_id for each in events} == runs, kind
        assert {each.user_id: each.causation_id for each in events} == runs, kind
    assert {each.deleted_old_backups for each in herd.recorded(BackupCompleted)[USERS:]} == {1}
    assert len(herd.present()) == USERS
    require_whole(herd.site)


def test_a_run_that_loses_its_lease_between_retention_and_its_end_is_left_out_alone(
    herd: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others of the same append are done; of the lost one nothing is appended."""
    finish = module.finish_retention

    def lose(site: Any, outcome: Any) -> Any:
        if outcome.order.user_id == 2:
            of_run = leases.c.run_id == outcome.order.run_id
            with site.ledger.engine.begin() as connection:
                connection.execute(update(leases).where(of_run).values(owner="somebody else"))
        return finish(site, outcome)

    with monkeypatch.context() as patched:
        patched.setattr(module, "finish_retention", lose)
        assert check(herd.site).completed == USERS - 1
    done = {each.user_id for each in herd.events_of(BackupCompleted)}
    assert done == {str(user_id) for user_id in range(1, USERS + 1)} - {"2"}
    assert herd.recorded(BackupFailed) == []
    assert "2" not in {each.user_id for each in herd.events_of(RetentionApplied)}
    herd.advance(seconds=herd.site.configuration.lease_seconds + 1)
    with herd.site.ledger.engine.begin() as connection:
        connection.execute(update(leases).values(expires_at=-1))
    assert herd.check().completed == 1
    assert len(herd.recorded(BackupCompleted)) == USERS
    require_whole(herd.site)


def test_what_cannot_be_recorded_together_is_recorded_alone(
    herd: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One user's trouble under the lock fails that user's run, and no other."""
    done = module._done

    def fail_for_two(site: Any, context: Any, made: Any, *rest: Any) -> Any:
        if made.claim.user_id == 2:
            raise ValueError("the settings make no sense")
        return done(site, context, made, *rest)

    monkeypatch.setattr(module, "_done", fail_for_two)
    assert herd.check() == CheckReport(completed=USERS - 1, failed=1)
    (failed,) = herd.events_of(BackupFailed)
    assert (failed.user_id, failed.error_message) == ("2", "the settings make no sense")
    assert len(herd.recorded(BackupCompleted)) == USERS - 1
    require_whole(herd.site)


@pytest.mark.parametrize("where", ["begin_retention", "_done"])
def test_where_the_ledger_is_away_no_run_is_failed_and_the_next_check_ends_them(
    herd: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Backups that are recorded stay recorded; nobody waits for each run's turn to fail."""
    times: list[object] = []

    def away(*_arguments: Any) -> Any:
        times.append(None)
        raise LedgerUnreachable("the server cannot be reached")

    monkeypatch.setattr("ledger.append.ledger.RECONNECT_SECONDS", (None,))
    with monkeypatch.context() as patched:
        patched.setattr(module, where, away)
        assert Checks(herd.site).check() == CheckReport(failed=1)
    assert len(times) == 1
    assert herd.recorded(BackupFailed) == []
    assert [each.error_type for each in herd.recorded(CheckFailed)] == ["LedgerUnreachable"]
    assert check(herd.site) == CheckReport(completed=USERS)
    assert len(herd.recorded(BackupStarted)) == USERS
    require_whole(herd.site)
