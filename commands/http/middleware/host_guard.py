"""What holds for every answer of our own application: its host, and headers for browsers."""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commands.http.authentication import host_name
from commands.http.problems import problem

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...] = ()) -> None:
        self._app = app
        self._hosts = {each.lower() for each in hosts} | set(LOOPBACK_NAMES) if hosts else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        send_guarded = with_headers(send)
        if not self._is_known(Headers(scope=scope).getlist("host")):
            refused = problem(
                421,
                "this service has another name; see the setting http_hosts",
                {"Connection": "close"},
            )
            await refused(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _is_known(self, hosts: list[str]) -> bool:
        if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
            return False
        return self._hosts is None or host_name(hosts[0]) in self._hosts


def with_headers(send: Send) -> Send:
    """Sends what browsers are told with every answer, where nothing else was said before."""

    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if "server" in headers:
                del headers["server"]
        await send(message)

    return send_guarded
