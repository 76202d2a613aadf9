"""Pages that change by themselves: the stream they follow, and the running work that they show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from commands.http import create_app
from commands.http.callers import Caller
from commands.http.console.session import IDLE_SECONDS
from commands.http.console.watching import stream
from commands.runs.claim import Claim, claim_due
from commands.runs.run import run_claims
from commands.site import actors
from ledger.clock import ManualClock
from tests.commands.world import MIDNIGHT, World, make_database
from tests.http.conftest import Place
from tests.http.test_console import fields_of, log_in

Act = Callable[[], object]


def followed(place: Place, client: httpx.Client, acts: list[Act]) -> list[str]:
    """What a visitor hears: after each event comes the next act; after the last the visitor goes.

    Where the last act ends the stream, nobody needs to go.
    """
    heard: list[str] = []
    status: list[int] = []

    async def follow() -> None:
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            status.extend([message["status"]] if "status" in message else [])
            text = message.get("body", b"").decode()
            if not text.startswith("event: "):
                return
            heard.append(text)
            if len(heard) <= len(acts):
                await asyncio.to_thread(acts[len(heard) - 1])
            else:
                gone.set()

        headers = [(b"host", b"localhost"), (b"cookie", client.headers["Cookie"].encode())]
        scope: dict[str, Any] = {"type": "http", "method": "GET", "http_version": "1.1"}
        scope |= {"path": "/console/live", "raw_path": b"/console/live", "query_string": b""}
        scope |= {"headers": headers, "client": ("127.0.0.1", 5000), "root_path": ""}
        scope |= {"scheme": "http", "server": ("localhost", 80)}
        await asyncio.wait_for(place.app(scope, receive, send), 30)

    asyncio.run(follow())
    assert status == [200]
    return heard


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LOOK_EVERY_SECONDS", 0.01)


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Place]:
    """A place whose user 1 is due."""
    make_database(tmp_path / "app.db", rows=200)
    world = World(tmp_path, ManualClock(MIDNIGHT))
    app = create_app(world.open())
    world.configure(1)
    world.due_again(1)
    yield Place(world, app)
    app.state.served.close()
    world.close()


def test_who_follows_hears_of_events_and_of_running_work(waiting: Place) -> None:
    """What runs, that something changed, and a run with how far its copy is, as its pages say."""
    world, operator, user = waiting.world, log_in(waiting, "operator"), log_in(waiting, "user", 2)
    site = world.site
    claims: list[Claim] = []
    pages: list[str] = []

    def begin() -> None:
        context = site.context(actors.scheduler(site.instance))
        claims.extend(claim_due(site, context, [world.schedule(1)]))
        with site.owner.staging("half") as path:
            path.write_bytes(b"x" * (world.database.stat().st_size // 2))
        world.advance(minutes=2)

    def look() -> None:
        run = f"/console/runs/{claims[0].run_id}"
        pages.extend(operator.get(path).text for path in ("/console", "/console/runs", run))
        pages.append(user.get("/console").text)
        (site.owner.folder / "half").unlink()
        run_claims(site, world.context(), claims)

    heard = followed(waiting, operator, [lambda: world.configure(2), begin, look])
    assert heard[0] == "event: work\ndata: []\n\n"
    assert heard[1].startswith("event: changed\ndata: ")
    (work,) = json.loads(heard[2].removeprefix("event: work\ndata: "))
    assert (work["title"], work["step"]) == ("Backup of user 1", "copy")
    assert 2 * work["done"] <= work["total"] == world.database.stat().st_size
    assert heard[3].startswith("event: changed\ndata: ")
    for page in pages[:3]:
        assert f'data-work="{claims[0].run_id}"' in page
        assert "copy: 50 %" in page
        assert "data-elapsed>2 minutes</time>" in page
    assert claims[0].run_id not in pages[3]
    assert "data-work" not in operator.get(f"/console/runs/{claims[0].run_id}").text


def test_a_user_hears_nothing_of_others_and_the_stream_ends_at_the_logout(waiting: Place) -> None:
    """Events of another user are not news; a page that is left open keeps no session alive."""
    world, user = waiting.world, log_in(waiting, "user", 1)
    hidden = fields_of(user, "/console")
    served, caller = waiting.app.state.served, Caller.user(1)
    seen = stream.look(caller, served)
    world.configure(2)
    assert stream.look(caller, served) == seen
    world.configure(1, keep_count=9)
    assert stream.look(caller, served) != seen
    log_out: Act = lambda: user.post("/console/logout", data=hidden)  # noqa: E731
    assert len(followed(waiting, user, [log_out])) == 1
    assert user.get("/console/live").headers["location"].startswith("/console/login")
    again = log_in(waiting, "user", 1)
    for _ in range(2):
        world.advance(seconds=IDLE_SECONDS * 0.6)
        refreshed = again.get("/console", headers={"Sec-Fetch-Dest": "empty"})
    assert refreshed.status_code == 303


def test_one_address_follows_so_many_pages(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is told when to ask again; a stream that ended has given its place back."""
    client = log_in(place, "operator")
    monkeypatch.setattr(stream, "MAX_OF_ADDRESS", 1)
    refused: list[httpx.Response] = []

    def ask() -> None:
        refused.append(client.get("/console/live"))
        place.world.configure(1, keep_count=4 + len(refused))

    for _ in range(2):
        followed(place, client, [ask])
    assert [each.status_code for each in refused] == [503, 503]
    assert refused[0].headers["retry-after"] == "30"
