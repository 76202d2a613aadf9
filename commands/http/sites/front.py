"""What is asked of the service and not of one site: health, metrics, and the overview of all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, RedirectResponse

from commands.http.application import ANSWERS
from commands.http.authentication import FailedLogins
from commands.http.callers import Caller
from commands.http.console import login, static_files
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import COOKIE, LoginNeeded, SessionAuth
from commands.http.health import everything, readiness
from commands.http.ledger_route import LedgerRoute
from commands.http.problems import problem, status_of
from commands.http.shapes import answer
from commands.reporting.metrics import CONTENT_TYPE, Metric, Sample, exposition
from commands.upkeep.tokens import TokenRefused, token_id_of

if TYPE_CHECKING:
    from commands.http.sites.served_sites import ServedSites

READERS = ("operator", "auditor")


class AtAnySite:
    """Lets in whose token any site accepts; pages of a site ask that site again."""

    def __init__(self, sites: ServedSites) -> None:
        self._sites = sites
        self._failures = FailedLogins()

    def caller_with(self, text: str) -> Caller:
        """Who a token's owner is, at the first site that accepts it.

        Raises:
            TokenRefused: none does.
        """
        return self.caller_of_token(token_id_of(text) or "")

    def caller_of_token(self, token_id: str) -> Caller:
        """Who came in with a token before.

        Raises:
            TokenRefused: no site accepts it any more.
        """
        found = self._sites.callers(token_id) if token_id else {}
        if not found:
            raise TokenRefused(
                "no site accepts this token; make one: backup-ledger tokens create --role operator"
            )
        return next(iter(found.values()))

    def count_failure(self, request: Request) -> int:
        """Count a failed login; seconds to wait where it was one too many, else 0."""
        address = request.client.host if request.client else "?"
        return self._failures.add(address, self._sites.clock.monotonic())


def create_front(sites: ServedSites) -> FastAPI:
    """The application of everything that is not a site's own."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(sites.close)

    app = FastAPI(
        title="Backup Ledger",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        exception_handlers=ANSWERS,
    )
    app.state.clock = sites.clock
    app.state.door = SessionAuth(sites.clock, AtAnySite(sites), sites.sessions)
    app.include_router(_health(sites))
    app.include_router(_console(sites))
    return app


def _health(sites: ServedSites) -> APIRouter:
    router = APIRouter(route_class=LedgerRoute)

    @router.get("/health")
    async def health() -> Response:
        return answer({"status": "ok"})

    @router.get("/ready")
    def ready() -> Response:
        found: dict[str, Any] = {name: {"status": "not ready"} for name in sites.names}
        for name, served in sites.served().items():
            try:
                found[name] = readiness(served)
            except Exception as error:  # noqa: BLE001  (whatever it is, it is this site's)
                found[name] = {"status": f"not ready: {type(error).__name__} ({status_of(error)})"}
        are_ready = [each["status"] == "ready" for each in found.values()]
        if not any(are_ready):
            return problem(503, "no site is ready")
        return answer({"status": "ready" if all(are_ready) else "in part", "sites": found})

    @router.get("/metrics", response_class=PlainTextResponse)
    def show_metrics(request: Request) -> Response:
        readable = sites.served()
        if not sites.metrics_open:
            scheme, _, text = request.headers.get("authorization", "").partition(" ")
            token_id = token_id_of(text.strip()) if scheme.lower() == "bearer" else None
            callers = sites.callers(token_id) if token_id else {}
            readable = {
                name: served
                for name, served in readable.items()
                if name in callers and callers[name].role in READERS
            }
            if not callers:
                raise HTTPException(401, "a token is needed: Authorization: Bearer blt_...")
            if not readable:
                raise HTTPException(
                    403, "the role user may not do this; it takes operator or auditor"
                )
        return Response(exposition(_all_metrics(sites, readable)), media_type=CONTENT_TYPE)

    return router


def _all_metrics(sites: ServedSites, readable: dict[str, Any]) -> list[Metric]:
    """The metrics of all sites, those of a name together; and which sites are up."""
    merged: dict[str, Metric] = {}
    up: list[Sample] = []
    for name in sites.names:
        try:
            found = everything(readable[name].site) if name in readable else []
        except Exception:  # noqa: BLE001  (that it is not up is what is told)
            found = []
        up.append(Sample(1 if found else 0, (("site", name),)))
        for each in found:
            before = merged.get(each.name)
            samples = each.samples if before is None else before.samples + each.samples
            merged[each.name] = Metric(each.name, each.kind, each.about, samples)
    about = "Whether the site is open and its numbers can be had."
    return [*merged.values(), Metric("site_up", "gauge", about, tuple(up))]


def _console(sites: ServedSites) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    inside = APIRouter(route_class=ConsoleRoute)

    @inside.get(BASE)
    def overview(request: Request) -> Response:
        session = sites.sessions.find(request.cookies.get(COOKIE), sites.clock.monotonic())
        callers = {} if session is None else sites.callers(session.holder)
        if not callers:
            raise LoginNeeded
        glances = [(each, callers.get(each.name)) for each in sites.glances()]
        now = sites.clock.now()
        return page(request, None, "sites.html", now=now, glances=glances, readers=READERS)

    router.include_router(static_files.router)
    router.include_router(login.router)
    router.include_router(inside)
    router.add_api_route("/", lambda: RedirectResponse(BASE, 303), response_model=None)
    return router
