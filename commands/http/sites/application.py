"""The application of several sites: /sites/NAME/... is that site's own, all else is the front's.

A site's application knows nothing of its place: it is asked without the prefix, which is put
before the addresses in its answers (here those of redirects; pages do it by themselves).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders

from commands.http.console.page import ADDRESS, BASE, SWITCH, Address, Switch
from commands.http.middleware.access_log import AccessLog
from commands.http.middleware.admission import Admission
from commands.http.middleware.host_guard import Guard
from commands.http.problems import problem
from commands.http.sites.front import create_front
from commands.http.sites.served_sites import SITES

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from commands.http.sites.served_sites import ServedSites


def create_sites_app(
    sites: ServedSites,
    *,
    hosts: tuple[str, ...] = (),
    trusted_proxies: tuple[str, ...] = (),
    access_log: bool = False,
) -> ASGIApp:
    """The whole service over several sites.

    `hosts`, `trusted_proxies`: as of `create_app`. `access_log`: log every request, also those that
    reach no site; without it each site logs its own if its configuration says so.
    """
    front = create_front(sites)
    app = Guard(Admission(_Sites(sites, front), trusted_proxies=trusted_proxies), hosts=hosts)
    return AccessLog(app) if access_log else app


class _Sites:
    """ASGI: to the site that the path names."""

    def __init__(self, sites: ServedSites, front: ASGIApp) -> None:
        self._sites = sites
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name, rest = _split(scope.get("path", ""))
        if scope["type"] != "http" or name not in self._sites.names:
            await self._front(scope, receive, send)
            return
        app = await run_in_threadpool(self._sites.app_of, name)
        if app is None:
            told = f"site {name!r} cannot be opened now; the service's log says why"
            await problem(503, told, {"Retry-After": "10"})(scope, receive, send)
            return
        prefix = f"{SITES}/{name}"
        inner = {
            **scope,
            "path": rest,
            "raw_path": rest.encode(),
            ADDRESS: Address(f"{prefix}{BASE}", f"{prefix}{BASE}"),
            SWITCH: Switch(name, tuple(self._sites.names)),
        }
        await app(inner, receive, _prefixed(send, prefix))


def _split(path: str) -> tuple[str, str]:
    """`/sites/crm/console` -> crm, /console."""
    if not path.startswith(f"{SITES}/"):
        return "", path
    name, _, rest = path.removeprefix(f"{SITES}/").partition("/")
    return name, f"/{rest}"


def _prefixed(send: Send, prefix: str) -> Send:
    async def send_prefixed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            location = headers.get("location", "")
            if location.startswith("/") and not location.startswith("//"):
                headers["location"] = prefix + location
        await send(message)

    return send_prefixed
