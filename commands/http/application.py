"""The application that `backup-ledger serve` runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from commands.http import health
from commands.http.advice import over_http
from commands.http.authentication import Authentication, authenticated
from commands.http.console import console_routes
from commands.http.console.session import SessionAuth, Sessions
from commands.http.documentation import documentation
from commands.http.middleware.access_log import AccessLog
from commands.http.middleware.admission import Admission
from commands.http.middleware.before_body import TokenBeforeBody
from commands.http.middleware.compression import Compression
from commands.http.middleware.host_guard import Guard
from commands.http.middleware.methods import HeadAsGet, allowed_methods
from commands.http.problems import answer_to
from commands.http.router import DEFAULT_PREFIX, build_router
from commands.http.schema import without_copies
from commands.http.served_site import ServedSite, served_by_app
from ledger.append.software import software_version

if TYPE_CHECKING:
    from commands.site.site import Site

METHOD_NOT_ALLOWED = 405
TITLE = "Backup Ledger"
ABOUT = """Backups of a SQLite database, and the ledger of all that was done to them.

Send `Authorization: Bearer TOKEN`. Errors are `application/problem+json` with a `detail`. Times
are UTC with six digits and a Z, sizes are bytes. A command takes an `Idempotency-Key`.
"""


def create_app(
    place: Site | ServedSite,
    *,
    prefix: str = DEFAULT_PREFIX,
    hosts: tuple[str, ...] = (),
    trusted_proxies: tuple[str, ...] = (),
    scheduler_runs: Callable[[], bool] = lambda: False,
    sessions: Sessions | None = None,
) -> FastAPI:
    """The whole service over an open site, which stays the caller's to close.

    `hosts`: names that it answers to besides those of this machine; any where none is given.
    `trusted_proxies`: addresses and networks whose forwarding headers are believed.
    `sessions`: those of visitors who log in once for several sites.
    """
    served = place if isinstance(place, ServedSite) else ServedSite(place, scheduler_runs)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(served.close)

    authentication = Authentication(served.site)
    app = _Service(
        title=TITLE,
        description=ABOUT,
        version=software_version(),
        docs_url=None,  # its page would load scripts from elsewhere: ours is `documentation`
        redoc_url=None,
        openapi_url=f"{prefix}/openapi.json",
        lifespan=lifespan,
        redirect_slashes=False,
        exception_handlers=ANSWERS,
    )
    app.state.served = served
    app.state.clock = served.site.clock
    app.state.authentication = authentication
    app.state.door = SessionAuth(served.site.clock, authentication, sessions)
    app.state.prefix = prefix
    app.router.routes += _routes(prefix)
    app.add_middleware(Compression)
    app.add_middleware(HeadAsGet)
    app.add_middleware(TokenBeforeBody, served=served, authentication=authentication)
    app.add_middleware(Admission, trusted_proxies=trusted_proxies)
    app.add_middleware(Guard, hosts=hosts)
    if served.site.configuration.http_access_log:
        name = served.site.configuration.site
        app.add_middleware(AccessLog, place=f"/sites/{name}" if name else "")
    return app


@cache
def _routes(prefix: str) -> list[BaseRoute]:
    """All routes, built once: they find at the application that is asked what it serves."""
    api = build_router(served_by_app, authenticated, prefix=prefix)
    return [*api.routes, *documentation(prefix).routes, *health.router.routes, *console_routes()]


@cache
def schema_of(prefix: str) -> dict[str, Any]:
    """The schema of the routes, made when somebody wants it; says how callers are let in."""
    found = get_openapi(
        title=TITLE, version=software_version(), description=ABOUT, routes=_routes(prefix)
    )
    components = found.setdefault("components", {})
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    found["security"] = [{"token": []}]
    return without_copies(found)


class _Service(FastAPI):
    """One application over those routes."""

    def openapi(self) -> dict[str, Any]:
        return schema_of(self.state.prefix)


async def _answer(request: Request, error: Exception) -> Response:
    response = answer_to(error, over_http)
    if response.status_code == METHOD_NOT_ALLOWED:
        methods = allowed_methods(request.app, request.url.path)
        if methods:  # the framework names those of one route only
            response.headers["Allow"] = ", ".join(methods)
    return response


ANSWERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    HTTPException: _answer,
    RequestValidationError: _answer,
    Exception: _answer,
}
"""How every application of ours answers errors."""
