"""What one caller may cost: rates, requests at once, backups, jobs; with answers that say so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import HTTPException

from commands.http.callers import Caller
from commands.http.limits import AT_ONCE, CallerLimits
from ledger.clock import ManualClock
from ledger.events.catalog import BackupCreated, HoldPlaced
from ledger.events.scheduling import SettingsUpdated
from tests.commands.world import MIDNIGHT, World, make_database
from tests.http.conftest import Place

USER, OTHER = Caller.user(1), Caller.user(2)


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[World]:
    """A world whose clock stands still until it is moved."""
    make_database(tmp_path / "app.db")
    world = World(tmp_path, ManualClock(MIDNIGHT), {})
    world.open()
    yield world
    world.close()


def limits_of(world: World, **settings: int) -> CallerLimits:
    site = world.site
    site.configuration = site.configuration.model_copy(update=settings)
    return CallerLimits(site)


def asked(limits: CallerLimits, caller: Caller, *, is_command: bool = True) -> int:
    """One request from its begin to its end: 200 or 429."""
    try:
        limits.enter(caller, is_command=is_command)
    except HTTPException as refused:
        return refused.status_code
    limits.leave(caller)
    return 200


def test_so_many_commands_a_minute_and_then_a_pause(quiet: World) -> None:
    """The allowance fills up evenly; reading, and another user, go on meanwhile."""
    limits = limits_of(quiet, http_commands_per_minute=6)
    assert [asked(limits, USER) for _ in range(7)] == [200] * 6 + [429]
    assert asked(limits, USER, is_command=False) == 200
    assert asked(limits, OTHER) == 200
    quiet.advance(seconds=9)
    assert asked(limits, USER) == 429
    quiet.advance(seconds=2)
    assert [asked(limits, USER) for _ in range(2)] == [200, 429]


def test_reading_has_an_allowance_too_and_zero_is_none(quiet: World) -> None:
    """0 in the settings lifts the limit."""
    limits = limits_of(quiet, http_requests_per_minute=3)
    assert [asked(limits, USER, is_command=False) for _ in range(4)] == [200] * 3 + [429]
    free = limits_of(quiet, http_requests_per_minute=0, http_commands_per_minute=0)
    assert {asked(free, USER) for _ in range(1000)} == {200}


def test_an_operator_is_not_limited_and_an_auditor_is(quiet: World) -> None:
    limits = limits_of(quiet, http_requests_per_minute=2)
    operator, auditor = Caller("a", "operator"), Caller("b", "auditor")
    assert {asked(limits, operator) for _ in range(50)} == {200}
    assert [asked(limits, auditor) for _ in range(3)] == [200, 200, 429]


def test_so_many_requests_at_once(quiet: World) -> None:
    """One that has ended makes room."""
    limits = limits_of(quiet)
    for _ in range(AT_ONCE):
        limits.enter(USER, is_command=False)
    with pytest.raises(HTTPException) as refused:
        limits.enter(USER, is_command=False)
    assert (refused.value.status_code, refused.value.headers) == (429, {"Retry-After": "2"})
    limits.enter(OTHER, is_command=False)
    limits.leave(USER)
    limits.enter(USER, is_command=False)


def test_requests_end_whatever_is_answered(place: Place) -> None:
    """Refused, unknown, answered before its body was read: none stays counted."""
    client = place.client("user", 1)
    for _ in range(AT_ONCE + 1):
        assert client.get("/database/backups").status_code == 200
        assert client.get("/database/stats").status_code == 403
        assert client.get("/database/backups/none.db").status_code == 404
        assert client.post("/database/restore", content=b"[").status_code in (403, 422)


def test_a_user_who_floods_is_told_so_and_the_ledger_stays_small(place: Place) -> None:
    """Holds, settings and backups, each with an answer that says what to do."""
    settings = place.world.site.configuration
    place.world.site.configuration = settings.model_copy(
        update={"http_user_backups": 3, "http_commands_per_minute": 30}
    )
    client = place.client("user", 1)
    taken = [client.post("/database/backup", json={"filename": f"b{n}"}) for n in range(5)]
    assert [each.status_code for each in taken] == [201] * 3 + [409] * 2
    assert "delete one first" in taken[-1].json()["detail"]
    hold = "/database/backups/b0.db/hold"
    held = [client.post(hold, json={"reason": "x"}).status_code for _ in range(12)]
    assert held == [201] * 10 + [409] * 2
    changed = [
        client.put("/database/settings/1", json={"keep_count": n % 29 + 1}) for n in range(40)
    ]
    assert changed[-1].status_code == 429
    assert changed[-1].headers["retry-after"]
    assert len(place.world.recorded(BackupCreated)) == 3
    assert len(place.world.recorded(HoldPlaced)) == 10
    assert len(place.world.recorded(SettingsUpdated)) < 40
    deleted = [client.delete("/database/backups/b1.db").status_code for _ in range(5)]
    assert 429 in deleted, "a slow machine gives time for one, and not for five"
    assert place.client("user", 2).post("/database/backup").status_code == 201


def test_one_callers_jobs_do_not_fill_the_queue(place: Place) -> None:
    """Four that are not over, of a caller who is not an operator."""
    jobs, gate = place.app.state.served.jobs, threading.Event()
    auditor = Caller("b", "auditor")
    try:
        for _ in range(4):
            jobs.start("verify_ledger", auditor, lambda _job, _tell: gate.wait(30))
        client = place.client("auditor")
        with pytest.raises(Exception, match="4 jobs of yours"):
            jobs.start("verify_ledger", auditor, lambda _job, _tell: None)
        assert client.post("/database/audit/verify").status_code == 202
    finally:
        gate.set()
