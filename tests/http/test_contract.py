"""What programs that call the service lean on: parameters, types of problems, places, versions."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI

from commands import BackupService
from commands.http import Caller, create_app, create_router
from commands.http.ledger_route import FORMER
from commands.http.problems import type_of
from commands.schedules.settings import configure
from ledger.clock import ManualClock
from tests.commands.world import World, make_database
from tests.http.conftest import Place
from tests.http.in_process import client_of


def test_an_unknown_parameter_is_refused_and_the_known_ones_named(place: Place) -> None:
    """A misspelled filter must not look like an answer."""
    client = place.client()
    for path, known in (
        ("/runs?user=1", "cursor, limit, outcome, user_id"),
        ("/audit/log?typ=x", "type"),
        ("/settings?limt=1", "after, cursor, limit"),
        ("/jobs?x=1", "it has none"),
        ("/backups/x/details?y=", "it has none"),
    ):
        refused = client.get(f"/database{path}")
        assert (refused.status_code, known in refused.json()["detail"]) == (422, True), refused.text
    assert client.get("/database/runs?outcome=completed&limit=5").status_code == 200
    assert client.get("/database/audit/log?failed=true&order=oldest").status_code == 200


def test_the_former_services_twelve_routes_take_what_they_are_sent(place: Place) -> None:
    """Their callers send what the former service ignored."""
    former = [
        (method, path)
        for path, methods in place.app.openapi()["paths"].items()
        for method, told in methods.items()
        if told.get("x-former-service")
    ]
    assert len(former) == 12
    assert FORMER == {"x-former-service": True}
    client = place.client()
    assert client.get("/database/backups?_=12345").status_code == 200
    assert client.get("/database/stats?refresh=1").status_code == 200


def test_problems_have_types_that_stay(place: Place) -> None:
    """For programs; the words are for people."""
    client = place.client()
    found = {
        client.get(f"/database{path}").json()["type"]
        for path in ("/backups/none", "/runs?limit=0", "/jobs/none")
    }
    found.add(place.stranger().get("/database/stats").json()["type"])
    found.add(client.patch("/database/stats").json()["type"])
    assert found == {
        "urn:backup-ledger:problem:not-found",
        "urn:backup-ledger:problem:invalid",
        "urn:backup-ledger:problem:no-token",
        "urn:backup-ledger:problem:no-such-method",
    }
    schema = place.app.openapi()["paths"]["/database/runs"]["get"]["responses"]["404"]
    assert schema["content"]["application/problem+json"]["example"]["type"] == type_of(404)


def test_two_applications_share_their_routes_and_nothing_else(place: Place, tmp_path: Path) -> None:
    """Routes are built once; each application answers of its own site, to its own callers."""
    (tmp_path / "other").mkdir()
    make_database(tmp_path / "other" / "app.db")
    other_world = World(tmp_path / "other", place.world.clock)
    other = Place(other_world, create_app(other_world.open()))
    assert other.app.routes[1:] == place.app.routes[1:]  # all but that of the schema
    place.client().post("/database/backup")
    assert place.client().get("/database/stats").json()["backups_count"] == 1
    assert other.client().get("/database/stats").json()["backups_count"] == 0
    stranger = other.stranger()
    stranger.headers["Authorization"] = f"Bearer {place.token('operator')}"
    for path in ("/database/stats", "/metrics"):
        assert stranger.get(path).status_code == 401
    assert "Location" in stranger.get("/console").headers
    other.app.state.served.close()
    other_world.close()


def test_what_was_made_or_started_has_an_address(place: Place) -> None:
    """201 and 202 lead there."""
    client = place.client()
    made = client.post("/database/backup", json={"filename": "named"})
    assert made.headers["location"] == "/database/backups/named.db"
    assert client.get(made.headers["location"]).json()["filename"] == "named.db"
    held = client.post("/database/backups/named.db/hold", json={"reason": "audit"})
    assert (held.status_code, held.headers["location"]) == (201, "/database/backups/named.db")
    started = client.post("/database/backups/named.db/verify")
    assert started.status_code == 202
    job = client.get(started.headers["location"]).json()
    assert job["job_id"] == started.json()["job_id"]


def test_settings_are_changed_only_as_they_were_read(place: Place) -> None:
    """If-Match is obeyed: two people cannot overwrite each other without a word."""
    client = place.client()
    client.put("/database/settings/1", json={"keep_count": 3})
    read = client.get("/database/settings/1")
    tag = {"If-Match": read.headers["etag"]}
    first = client.put("/database/settings/1", json={"keep_count": 4}, headers=tag)
    assert first.status_code == 200
    second = client.put("/database/settings/1", json={"keep_count": 5}, headers=tag)
    assert (second.status_code, second.json()["type"]) == (412, type_of(412))
    assert client.get("/database/settings/1").json()["keep_count"] == 4
    again = {"If-Match": first.headers["etag"]}
    assert (
        client.put("/database/settings/1", json={"keep_count": 5}, headers=again).status_code == 200
    )
    for tag_text, user, status in (("*", 1, 200), ("*", 2, 404), ("W/x", 1, 412), ('"1"', 2, 412)):
        changed = client.put(
            f"/database/settings/{user}", json={"keep_count": 6}, headers={"If-Match": tag_text}
        )
        assert changed.status_code == status, (tag_text, user)
    types = [each.event.event_type for each in place.world.site.ledger.recorded()]
    assert "backup_scheduler.settings_error" not in types


def test_backups_are_filtered_by_user_kind_status_and_time(place: Place) -> None:
    """Each by itself, and together."""
    client = place.client()
    before = datetime.now(UTC).isoformat()
    client.post("/database/backup", json={"filename": "one", "user_id": 1})
    client.post("/database/backup", json={"filename": "two", "user_id": 2})
    client.post("/database/backup", json={"pre_migration": True})
    client.delete("/database/backups/two.db")

    def names(query: dict[str, str]) -> list[str]:
        answer = client.get("/database/backups", params=query)
        assert answer.status_code == 200, answer.text
        return sorted(each["filename"] for each in answer.json()["backups"])

    assert names({"user_id": "1"}) == ["one.db"]
    assert names({"kind": "manual"}) == ["one.db"]
    assert names({"status": "deleted"}) == ["two.db"]
    assert len(names({"since": before})) == 2
    assert names({"until": before}) == []
    assert names({"kind": "manual", "user_id": "2", "all": "true"}) == ["two.db"]
    assert client.get("/database/backups?kind=none").status_code == 422
    assert client.get("/database/backups?since=2025-01-01T00:00:00").status_code == 422


def test_the_scheduler_runs_while_the_application_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the lifespan that the router brings: what was due is made, and it ends with the server."""
    monkeypatch.chdir(tmp_path)
    make_database(tmp_path / "app.db")
    service = BackupService(tmp_path / "app.db")
    yesterday = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    _due_since(service, yesterday)
    app = FastAPI()
    app.include_router(create_router(service, lambda: Caller("1", "operator"), with_scheduler=True))
    client = client_of(app)

    def until_it_ran() -> None:
        deadline = time.monotonic() + 60
        while not client.get("/database/runs?outcome=completed").json()["runs"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert client.get("/database/scheduler/stats").json()["is_running"] is True

    async def serve() -> None:
        async with app.router.lifespan_context(app):
            await asyncio.to_thread(until_it_ran)

    asyncio.run(serve())
    types = [each.event.event_type for each in service.site.ledger.recorded()]
    assert types[-1] == "backup_scheduler.stop"


def _due_since(service: BackupService, clock: ManualClock) -> None:
    site = service.site
    usual, site.clock, site.ledger.clock = site.clock, clock, clock
    try:
        configure(site, site.context(Caller("1", "operator").actor), 1, {"backup_time": "03:00"})
    finally:
        site.clock = site.ledger.clock = usual
