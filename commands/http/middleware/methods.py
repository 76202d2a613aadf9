"""HEAD where GET is answered, and the methods that an address has, for `Allow`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

STREAMS = re.compile(r"/audit/follow$|/jobs/[^/]+/events$|/console/live$|/downloads/[^/]+$")
"""They have no end, or work once: there is nothing to say of them beforehand."""


class HeadAsGet:
    """ASGI middleware: HEAD is GET without the body (RFC 9110, section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or STREAMS.search(scope["path"]):
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, without_body)


def allowed_methods(app: FastAPI, path: str) -> list[str]:
    """The methods of an address that stands in the schema; empty for any other."""
    found = {
        method.upper()
        for pattern, methods in _patterns(app)
        if pattern.fullmatch(path)
        for method in methods
    }
    if "GET" in found and not STREAMS.search(path):
        found.add("HEAD")
    return sorted(found)


def _patterns(app: FastAPI) -> list[tuple[re.Pattern[str], list[str]]]:
    paths: dict[str, dict[str, Any]] = app.openapi()["paths"]
    return [
        (re.compile("[^/]+".join(map(re.escape, re.split(r"\{\w+\}", path)))), list(methods))
        for path, methods in paths.items()
    ]
