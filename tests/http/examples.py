"""The answers that the schema shows: taken from a real place, each route asked once.

python -m tests.http.examples
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from commands.audit.keys import make_key
from commands.http import create_app
from commands.http.examples import KEPT_AT
from commands.http.router import DEFAULT_PREFIX
from commands.offsite.add import NewDestination, add_destination
from commands.offsite.repository.seal import new_identity, recipient_of
from commands.upkeep.tokens import create_token
from ledger.clock import ManualClock
from tests.commands.world import World, fill_cases, make_database
from tests.http.conftest import finished
from tests.http.in_process import client_of

NIGHT = datetime(2025, 3, 3, 2, 0, tzinfo=UTC)
STARTED = 202
AS_BEGUN: dict[str, Any] = {
    "state": "queued",
    "progress": {"step": None, "done": 0, "total": 0},
    "result": None,
    "ended_at": None,
}
"""A job that was just started, however quick it was."""
WITHOUT_PREFIX = ("/health", "/ready", "/metrics")
Ask = Callable[..., httpx.Response]


def real_answers(
    folder: Path, send: Callable[..., httpx.Response] = httpx.Client.request
) -> dict[str, Any]:
    """Operation -> the JSON that it answered. Operations are as the schema names them.

    `send`: what sends a request with the client, its method, address, and body.
    """
    make_database(folder / "app.db")
    make_key("example.com/backups", folder / "ledger.key")
    world = World(folder, ManualClock(NIGHT), {"checkpoint_key": folder / "ledger.key"})
    app = create_app(world.open())
    client = client_of(app)
    token, _ = create_token(world.site, world.context(), "operator")
    client.headers["Authorization"] = f"Bearer {token}"
    found: dict[str, Any] = {}

    def ask(operation: str, address: str = "", **request: Any) -> httpx.Response:
        method, _space, path = operation.partition(" ")
        prefix = "" if path in WITHOUT_PREFIX else DEFAULT_PREFIX
        answer = send(client, method, prefix + (address or path), **request)
        assert answer.is_success, (operation, answer.text)
        is_ours = path not in WITHOUT_PREFIX
        if is_ours and answer.content and answer.headers["content-type"] == "application/json":
            found[operation] = answer.json()
        if answer.status_code == STARTED:
            found[operation] |= AS_BEGUN
        return answer

    _settings(ask, world)
    _backups(ask, client, world)
    _offsite(ask, client, world)
    _ledger(ask, client)
    app.state.served.close()
    world.close()
    return found


def _settings(ask: Ask, world: World) -> None:
    ask("PUT /settings/{user_id}", "/settings/1", json={"keep_count": 7})
    ask("POST /backup/schedule", "/backup/schedule?user_id=1", json={"backup_time": "03:00"})
    ask("GET /backup/schedule", "/backup/schedule?user_id=1")
    world.advance(hours=2)
    world.check()
    ask("GET /settings")
    ask("GET /settings/{user_id}", "/settings/1")
    ask("POST /settings/{user_id}/pause", "/settings/1/pause", json={"note": "moving house"})
    ask("POST /settings/{user_id}/resume", "/settings/1/resume")
    ask("GET /settings/{user_id}/preview", "/settings/1/preview?count=3")
    ask("GET /scheduler/stats")
    ask("DELETE /backup/schedule", "/backup/schedule?user_id=1")
    runs = ask("GET /runs").json()["runs"]
    ask("GET /runs/{run_id}", f"/runs/{runs[0]['run_id']}")


def _backups(ask: Ask, client: httpx.Client, world: World) -> None:
    ask("POST /backup", json={"filename": "before", "user_id": 1})
    finished(client, ask("POST /backups", json={"filename": "later"}))
    one = "/backups/before.db"
    ask("POST /backups/{filename}/hold", f"{one}/hold", json={"reason": "audit 2025"})
    ask("GET /backups")
    ask("GET /backups/{filename}", one)
    ask("GET /backups/{filename}/details", f"{one}/details")
    ask("DELETE /backups/{filename}/hold", f"{one}/hold")
    offered = ask("POST /backups/{filename}/download", f"{one}/download").json()
    ask("GET /downloads/{download_id}", f"/downloads/{offered['download_id']}")
    finished(client, ask("POST /backups/{filename}/verify", f"{one}/verify"))
    ask("GET /backups/{filename}/restore", f"{one}/restore")
    finished(client, ask("POST /backups/{filename}/restore", f"{one}/restore", json={}))
    ask("POST /restore", json={"backup_filename": "before.db"})
    _tables(ask, client, one)
    ask("GET /retention", "/retention?keep_count=1")
    ask("POST /retention", "/retention?keep_count=1")
    ask("POST /retention/cleanup-empty")
    ask("POST /retention/cleanup-protected")
    made = ask("POST /backup", json={"filename": "before-cleanup", "user_id": 1}).json()
    ask("DELETE /backups/{filename}", f"/backups/{made['filename']}")
    ask("GET /stats")
    ask("POST /optimize")
    _collapse(ask, world)


def _tables(ask: Ask, client: httpx.Client, one: str) -> None:
    ask_for = {"tables": ["cases"], "mode": "in_place"}
    finished(client, ask("POST /backups/{filename}/diff", f"{one}/diff", json={"table": "cases"}))
    plan = ask("POST /backups/{filename}/tables/plan", f"{one}/tables/plan", json=ask_for)
    finished(client, plan)
    path = "/backups/{filename}/tables/restore"
    done = finished(client, ask(f"POST {path}", f"{one}/tables/restore", json=ask_for))
    assert done["result"]["restored"], done


def _collapse(ask: Ask, world: World) -> None:
    fill_cases(world.database, 200)
    ask("POST /backup", json={"filename": "full"})
    fill_cases(world.database, 0)
    ask("POST /backup", json={"filename": "emptied"})
    one = "/backups/emptied.db"
    ask("POST /backups/{filename}/accept", f"{one}/accept", json={"reason": "archived"})


def _offsite(ask: Ask, client: httpx.Client, world: World) -> None:
    identities = (new_identity(), new_identity())
    wanted = NewDestination(
        f"file://{world.folder}/nas", "nas", tuple(map(recipient_of, identities)), identities
    )
    add_destination(world.site, world.context(), wanted)
    name = ask("POST /backup", json={"filename": "elsewhere"}).json()["filename"]
    finished(client, ask("POST /offsite/{name}/copy", "/offsite/nas/copy"))
    finished(client, ask("POST /offsite/{name}/verify", "/offsite/nas/verify", json={}))
    finished(client, ask("POST /offsite/{name}/collect", "/offsite/nas/collect"))
    ask("GET /offsite")
    ask("GET /offsite/{name}", "/offsite/nas")
    ask("GET /backups/{filename}/copies", f"/backups/{name}/copies")


def _ledger(ask: Ask, client: httpx.Client) -> None:
    ask("GET /trouble")
    for path in ("/trouble/run", "/trouble/verify", "/trouble/reconcile"):
        done = finished(client, ask(f"POST {path}"))
        assert done["state"] == "done", done
    ask("GET /audit/log", "/audit/log?limit=1")
    ask("GET /audit/events/{position}", "/audit/events/1")
    started = ask("POST /audit/verify")
    finished(client, started)
    exported = ask("POST /audit/export", json={"user_id": 1})
    finished(client, exported)
    ask("GET /jobs/{job_id}/file", f"/jobs/{exported.json()['job_id']}/file")
    ask("GET /jobs/{job_id}/events", f"/jobs/{exported.json()['job_id']}/events")
    ask("GET /audit/follow", "/audit/follow?after=0&limit=1")
    ask("POST /audit/checkpoint")
    ask("GET /audit/checkpoint")
    ask("GET /audit/public-key")
    ask("GET /audit/events/{position}/proof", "/audit/events/1/proof")
    ask("GET /audit/consistency", "/audit/consistency?first=1&second=2")
    for path in WITHOUT_PREFIX:
        ask(f"GET {path}")
    ask("GET /projections")
    name = "/projections/backup_settings"
    finished(client, ask("POST /projections/{name}/rebuild", f"{name}/rebuild"))
    finished(client, ask("POST /projections/{name}/diff", f"{name}/diff"))
    ask("GET /jobs/{job_id}", f"/jobs/{started.json()['job_id']}")
    found = ask("GET /jobs").json()
    found["jobs"] = found["jobs"][:1]


def without_the_machine(text: str, folder: Path) -> str:
    """Examples are of a place like anybody's."""
    return text.replace(str(folder), "/srv/app")


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = json.dumps(real_answers(folder), indent=1, sort_keys=True)
        KEPT_AT.write_text(without_the_machine(found, folder) + "\n")
    sys.stdout.write(f"{KEPT_AT} written\n")


if __name__ == "__main__":
    main()
