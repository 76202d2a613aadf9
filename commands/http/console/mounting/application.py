"""`create_console`: all pages as an application to be mounted in another one.

    app.mount("/backups", create_console(BackupService("app.db"), caller, sign_in="/login"))

The pages know nothing of their place: they are asked as if they stood at `BASE`, and their
addresses are written for where they are. What the outer application does around every request
(its middleware, its state) is done around these as well.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router

from commands.http.callers import READING
from commands.http.console import pages_for
from commands.http.console.mounting.door import (
    MountedDoor,
    mounted_reader,
    mounted_visitor,
    sign_out_page,
)
from commands.http.console.page import ADDRESS, BASE, Address
from commands.http.console.session import set_cookie
from commands.http.ledger_route import leave
from commands.http.middleware.host_guard import with_headers
from commands.http.middleware.methods import HeadAsGet
from commands.http.problems import problem
from commands.http.router import served_site
from commands.http.served_site import STATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from commands.facade.backup_service import BackupService
    from commands.http.served_site import ServedSite
    from commands.site.site import Site

SCRIPTS = f"{BASE}/api/"


def create_console(
    place: Site | BackupService | ServedSite,
    caller: Callable[..., Any],
    *,
    sign_in: str | None = None,
    sign_out: Callable[[Request], Any] | None = None,
) -> ASGIApp:
    """The console without a sign-in of its own, to be mounted under a prefix.

    `caller`: as of `create_router`, a FastAPI dependency that returns a `Caller`, or raises an
    HTTPException for whom it does not know. Forged forms are refused here, also where it goes by
    cookies.
    `sign_in`: the application's page to sign in; whoever gets a 401 is sent there, with `?next=`
    and the address that was asked for. Without it the 401 is shown.
    `sign_out`: takes the request and returns the answer that signs somebody out, a coroutine or
    not; without it the pages have no button for it.
    """
    served = served_site(place)
    door = MountedDoor(served.site.clock, sign_in, sign_out)
    state = SimpleNamespace(served=served, clock=served.site.clock, door=door)
    more = [] if sign_out is None else [sign_out_page()]
    routes = pages_for(mounted_visitor(caller), mounted_reader(caller), *more)
    router = Router(routes, redirect_slashes=False)
    return HeadAsGet(_Mounted(AsyncExitStackMiddleware(router), state))


class _Mounted:
    """ASGI: where an application mounted it, the pages at `BASE`."""

    def __init__(self, app: ASGIApp, state: SimpleNamespace) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        mount, rest = _place_of(scope)
        address = Address(mount, f"{mount}/")
        path = BASE if rest in ("", "/") else f"{BASE}{rest}"
        inner = {
            **scope,
            "path": path,
            "raw_path": quote(path).encode(),
            "root_path": "",
            "state": {**scope.get("state", {})},
            ADDRESS: address,
            STATE: self._state,
        }
        sending = with_headers(_outwards(send, inner, address))
        if path.startswith(SCRIPTS) and scope["method"] not in READING:
            told = "scripts of the console only read; send the page's form"
            await problem(405, told, {"Allow": "GET"})(inner, receive, sending)
            return
        try:
            await self._app(inner, receive, sending)
        finally:
            leave(inner)


def _place_of(scope: Scope) -> tuple[str, str]:
    """Where it is mounted, for browsers, and what is asked of it."""
    mount = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    outer = scope.get("app_root_path", "").rstrip("/")
    for before in (mount, mount.removeprefix(outer)):  # a proxy may have taken its part away
        if path == before or path.startswith(f"{before}/"):
            return mount, path.removeprefix(before)
    return mount, path


def _outwards(send: Send, inner: Scope, address: Address) -> Send:
    """Sends redirections to where browsers find a page, and the cookie of a new session."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            state, headers = inner["state"], MutableHeaders(scope=message)
            if "location" in headers and not state.get("console_is_left"):
                headers["location"] = address.outside(headers["location"])
            if "console_cookie" in state:
                cookie = Response()
                set_cookie(Request(inner), cookie, state["console_cookie"], address.start)
                headers.append("set-cookie", cookie.headers["set-cookie"])
        await send(message)

    return sending
