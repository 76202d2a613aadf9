"""The console in an application of one's own: its sign-in, its prefix, its middleware."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from html import unescape
from typing import Annotated
from urllib.parse import urljoin

import httpx
import pytest
from fastapi import Cookie, FastAPI, HTTPException, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from commands.backups.take import take_backup
from commands.http import Caller, create_console
from ledger.events.catalog import HoldPlaced
from ledger.events.scheduling import SchedulePaused
from tests.http.conftest import Place
from tests.http.in_process import client_of

MOUNT = "/admin/backups"
PEOPLE = {"olga": Caller("olga", "operator"), "ada": Caller("ada", "auditor"), "7": Caller.user(7)}
LINK = re.compile(r'(?:href|src|action|formaction|data-job|data-preview)="([^"]*)"')


def application(place: Place) -> FastAPI:
    """One that has a page of its own at /console, and knows people by a cookie."""
    app = FastAPI()
    app.state.people = PEOPLE

    def caller(request: Request, who: Annotated[str, Cookie()] = "") -> Caller:
        if who == "lost":
            raise HTTPException(303, headers={"Location": "/console?lost"})
        if who not in request.app.state.people:
            raise HTTPException(401, "nobody we know")
        found: Caller = request.app.state.people[who]
        return found

    def sign_out(_request: Request) -> Response:
        answer = RedirectResponse("/console", 303)
        answer.delete_cookie("who")
        return answer

    @app.middleware("http")
    async def stamp(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers["X-Application"] = "ours"
        return response

    @app.get("/console")
    def own() -> str:
        return "the application's own console"

    console = create_console(place.world.site, caller, sign_in="/console", sign_out=sign_out)
    app.mount(MOUNT, console)
    return app


@pytest.fixture
def mounted(place: Place) -> FastAPI:
    """The application, over a place with a schedule and a backup."""
    place.world.configure(7)
    take_backup(place.world.site, place.world.context(), user_id=7)
    return application(place)


def visitor(app: ASGIApp, who: str) -> httpx.Client:
    """A browser of somebody who is signed in, once it has seen a page."""
    client = client_of(app)
    client.cookies.set("who", who)
    return client


def hidden(client: httpx.Client, path: str) -> dict[str, str]:
    text = client.get(path).text
    return {
        name: re.findall(rf'name="{name}" value="([^"]*)"', text)[-1]
        for name in ("csrf", "form_key")
    }


@pytest.mark.parametrize("who", ["olga", "ada", "7"])
def test_every_link_leads_to_a_page_under_the_prefix(mounted: FastAPI, who: str) -> None:
    """From the first page on, whatever can be reached; the style and the scripts too."""
    client = visitor(mounted, who)
    waiting, seen = [f"{MOUNT}/"], set()
    while waiting:
        path = waiting.pop()
        if path.partition("?")[0] in seen:  # one page of a list or a calendar is enough
            continue
        seen.add(path.partition("?")[0])
        answer = client.get(path)
        assert answer.status_code in (200, 303), path
        if answer.status_code == 303:
            waiting.append(answer.headers["location"])
            assert waiting[-1].startswith(f"{MOUNT}/")
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        assert '="/console' not in answer.text, path
        for found in map(unescape, LINK.findall(answer.text)):
            if found and not found.startswith("#"):
                onward = urljoin(path, found).partition("#")[0]
                assert onward.startswith(f"{MOUNT}/"), f"{path} -> {found}"
                if "/logout" not in onward and f'action="{found}"' not in answer.text:
                    waiting.append(onward)
    assert len(seen) > (10 if who == "7" else 20)


def test_a_page_is_protected_and_served_as_its_own(mounted: FastAPI) -> None:
    """CSP of ours, the application's header, HEAD, and its own pages beside."""
    client = visitor(mounted, "olga")
    first = client.get(MOUNT)
    assert first.status_code == 307
    page = client.get(f"{MOUNT}/")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-application"] == "ours"
    assert "HttpOnly" in page.headers["set-cookie"]
    assert f"Path={MOUNT}/" in page.headers["set-cookie"]
    assert "set-cookie" not in client.get(f"{MOUNT}/runs").headers  # the session goes on
    head = client.head(f"{MOUNT}/runs")
    assert (head.status_code, head.content) == (200, b"")
    assert client.get(f"{MOUNT}/nothing").status_code == 404
    assert client.get("/console").json() == "the application's own console"
    assert client.get(f"{MOUNT}/login").status_code == 404
    assert client.get(f"{MOUNT}/tokens").status_code == 404
    assert client.get(f"{MOUNT}/api/jobs").json() == {"jobs": []}
    assert client.post(f"{MOUNT}/api/backup").status_code == 405


def test_whom_the_application_does_not_know_goes_to_its_sign_in(mounted: FastAPI) -> None:
    stranger = visitor(mounted, "x")
    answer = stranger.get(f"{MOUNT}/runs?outcome=failed")
    assert answer.status_code == 303
    asked = "%2Fadmin%2Fbackups%2Fruns%3Foutcome%3Dfailed"
    assert answer.headers["location"] == f"/console?next={asked}"
    assert "set-cookie" not in answer.headers
    assert stranger.get(f"{MOUNT}/api/jobs").status_code == 401
    assert visitor(mounted, "lost").get(f"{MOUNT}/").headers["location"] == "/console?lost"


def test_roles_are_those_that_the_application_says(mounted: FastAPI, place: Place) -> None:
    """An auditor changes nothing, a user sees what is the user's, and the ledger names them."""
    user = visitor(mounted, "7")
    assert user.get(f"{MOUNT}/schedules").headers["location"] == f"{MOUNT}/schedules/7"
    assert user.get(f"{MOUNT}/schedules/1").status_code == 404
    assert user.get(f"{MOUNT}/audit").status_code == 403
    auditor, operator = visitor(mounted, "ada"), visitor(mounted, "olga")
    for client, status in ((auditor, 403), (operator, 303)):
        form = hidden(client, f"{MOUNT}/schedules/7") | {"note": "moving"}
        answer = client.post(f"{MOUNT}/schedules/7/pause", data=form)
        assert answer.status_code == status, answer.text
    assert answer.headers["location"] == f"{MOUNT}/schedules/7"
    [paused] = place.world.events_of(SchedulePaused)
    assert (paused.actor.kind, paused.actor.id) == ("operator", "olga")


def test_a_forged_form_does_nothing(mounted: FastAPI, place: Place) -> None:
    """Without a session, with another's secret, from another site, or another person's session."""
    [backup] = place.world.present(7)
    path = f"{MOUNT}/backups/{backup.filename}/hold"
    client = visitor(mounted, "olga")
    good = {"reason": "x"}
    assert client.post(path, data=good).status_code == 403
    good |= hidden(client, f"{MOUNT}/backups/{backup.filename}")
    other = visitor(mounted, "olga")
    other.get(f"{MOUNT}/")
    assert other.post(path, data=good).status_code == 403
    evil = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert client.post(path, data=good, headers=evil).status_code == 403
    client.cookies.set("who", "7")  # somebody else signed in meanwhile
    assert client.post(path, data=good).status_code == 403
    client.cookies.set("who", "olga")
    assert place.world.recorded(HoldPlaced) == []
    referer = {"Referer": f"http://localhost{MOUNT}/backups/{backup.filename}"}
    for _ in range(2):  # and twice is once
        answer = client.post(path, data=good, headers=referer)
        assert answer.headers["location"] == f"{MOUNT}/backups/{backup.filename}"
    assert len(place.world.recorded(HoldPlaced)) == 1


def test_signing_out_is_the_applications(mounted: FastAPI) -> None:
    """Its answer is given as it is, and the session of the pages has ended."""
    client = visitor(mounted, "olga")
    form = hidden(client, f"{MOUNT}/")
    assert client.post(f"{MOUNT}/logout", data={"csrf": "x"}).status_code == 403
    answer = client.post(f"{MOUNT}/logout", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    assert 'who=""' in answer.headers["set-cookie"]
    client.cookies.set("who", "olga")
    assert client.post(f"{MOUNT}/runs", data=form).status_code in (403, 405)
    assert hidden(client, f"{MOUNT}/")["csrf"] != form["csrf"]


@pytest.mark.parametrize("asked", ["/proxied", ""])
def test_behind_a_proxy_links_have_its_part_too(place: Place, asked: str) -> None:
    """Whether the proxy takes its part of the path away or leaves it."""
    app = application(place)

    async def proxied(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "root_path": "/proxied"}, receive, send)

    client = visitor(proxied, "olga")
    page = client.get(f"{asked}{MOUNT}/schedules")
    assert page.status_code == 200
    assert f'href="/proxied{MOUNT}/runs"' in page.text
    assert f"Path=/proxied{MOUNT}/" in page.headers["set-cookie"]
