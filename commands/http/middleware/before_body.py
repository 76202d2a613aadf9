"""Who sends a body is asked for a token first: FastAPI reads the body before its dependencies.

So a body that never ends costs a stranger's connection only the moment of a 401. Forms of the
console are looked after by its own session, before it reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

from commands.http.advice import over_http
from commands.http.callers import READING
from commands.http.ledger_route import enter, leave
from commands.http.problems import answer_to

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from commands.http.authentication import Authentication
    from commands.http.served_site import ServedSite

CONSOLE = "/console"
CONSOLE_API = "/console/api/"


class TokenBeforeBody:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, served: ServedSite, authentication: Authentication) -> None:
        self._app = app
        self._served = served
        self._authentication = authentication

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in READING:
            try:
                await self._ask(Request(scope))
            except HTTPException as error:
                await answer_to(error, over_http)(scope, receive, send)
                return
        try:
            await self._app(scope, receive, send)
        finally:
            leave(scope)

    async def _ask(self, request: Request) -> None:
        path = request.url.path
        if path.startswith(CONSOLE_API):
            raise HTTPException(
                405, "scripts of the console only read; send the page's form", {"Allow": "GET"}
            )
        if path == CONSOLE or path.startswith(f"{CONSOLE}/") or not has_body(request):
            return
        caller = await run_in_threadpool(self._authentication.let_in, request)
        enter(request, self._served, caller)


def has_body(request: Request) -> bool:
    """Whether something follows the headers."""
    headers = request.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
