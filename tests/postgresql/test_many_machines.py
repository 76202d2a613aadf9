"""Machines that share a ledger: they begin at once, and it can be seen what each is for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest

from commands.health import roster as schedulers_module
from commands.health.presence import Presence
from commands.health.roster import schedulers_of, unserved_labels
from commands.runs import run as run_backups
from commands.scheduler.check import INDEPENDENT_PER_BATCH, check
from commands.scheduler.readiness import Readiness
from commands.scheduler.recording import record_start
from commands.site import actors
from commands.site.configuration import Configuration
from commands.site.opening import begin, open_site
from ledger.clock import SystemClock
from ledger.errors import LedgerBusy
from ledger.events.scheduling import CheckFailed
from tests.commands.world import World, make_database
from tests.postgresql_server import Server


def test_machines_that_begin_at_once_begin_one_ledger(postgresql: Server, tmp_path: Path) -> None:
    """The others are told that somebody was quicker, or find it there."""
    url = postgresql.new_database()
    make_database(tmp_path / "app.db")
    barrier = Barrier(4)
    busy: list[LedgerBusy] = []

    def begin_one(number: int) -> None:
        folder = tmp_path / f"machine{number}"
        chosen = Configuration(
            database=tmp_path / "app.db", backups=folder, ledger=url, projections=url
        )
        barrier.wait()
        try:
            begin(chosen, SystemClock(), new=True)
        except LedgerBusy as error:
            assert "just begun" in str(error)  # noqa: PT017
            busy.append(error)
            begin(chosen, SystemClock(), new=True)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(begin_one, range(4)))
    assert len(busy) < 4
    found = open_site(
        Configuration(
            database=tmp_path / "app.db",
            backups=tmp_path / "machine3",
            ledger=url,
            projections=url,
        ),
        "act",
    )
    assert found.has_store
    found.close()


def test_a_frozen_scheduler_that_has_no_run_is_stuck_too(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says every ten seconds that it is there; who says nothing for longer is not idle."""
    site = served.open(labels=("office",), label_users={"office": "1-9"})
    record_start(site)
    with Presence(site):
        (alive,) = schedulers_of(site)
        assert (alive.state, alive.labels) == ("idle", ("office",))
        monkeypatch.setattr(schedulers_module, "SILENT_SECONDS", -1.0)
        (frozen,) = schedulers_of(site)
        assert frozen.state == "stuck"
        assert frozen.silent_seconds is not None


def test_labels_that_nobody_serves_are_told_of(served: World) -> None:
    """Of those who are there; where nobody is, that is another trouble."""
    labels = {"office": "1-9", "archive": "10-19"}
    site = served.open(labels=("office",), label_users=labels)
    assert unserved_labels(site) == []
    with Presence(site):
        assert unserved_labels(site) == ["archive", ""]
        with Presence(served.open("act", label_users=labels)):
            assert unserved_labels(site) == ["archive"]


def test_a_machine_that_is_not_ready_does_not_become_ready_when_the_others_die(
    served: World,
) -> None:
    """It tries, as nobody else does; but it says what is wrong until that is mended."""
    site = served.open()
    context = site.context(actors.scheduler(site.instance))
    readiness = Readiness(site)
    gone = served.database.with_name("gone.db")
    served.database.rename(gone)
    assert readiness.defers_to_peers(context, others=1)
    assert not readiness.defers_to_peers(context, others=0)
    assert readiness.problem is not None
    assert readiness.defers_to_peers(context, others=1)
    assert len(served.recorded(CheckFailed)) == 1
    gone.rename(served.database)
    assert not readiness.defers_to_peers(context, others=1)
    assert readiness.problem is None


def test_of_copies_that_nobody_shares_few_are_claimed_at_a_time(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop waits for these only, and the others are there for whoever is idle."""
    site = served.open(independent_copies=True)
    users = INDEPENDENT_PER_BATCH + 2
    for user_id in range(1, users + 1):
        served.configure(user_id)
    served.due_again()
    stop = Event()
    complete = run_backups.complete_runs

    def complete_and_stop(*arguments: Any) -> Any:
        stop.set()
        return complete(*arguments)

    monkeypatch.setattr(run_backups, "complete_runs", complete_and_stop)
    assert check(site, stop).completed == INDEPENDENT_PER_BATCH
    assert check(served.open("act")).completed == users - INDEPENDENT_PER_BATCH
