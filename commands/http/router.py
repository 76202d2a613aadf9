"""All routes as one router, to be mounted in an application with its own authentication."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any
from weakref import WeakValueDictionary

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool

from commands.facade.backup_service import BackupService
from commands.http.callers import Caller
from commands.http.ledger_route import LedgerRoute, enter, require_known_parameters
from commands.http.routes import (
    audit,
    backups,
    comparing,
    database,
    downloads,
    following,
    jobs,
    offsite,
    projections,
    restoring,
    retention,
    runs,
    settings,
    trouble,
)
from commands.http.schema import describe
from commands.http.served_site import ServedSite
from commands.scheduler.process import run_scheduler

if TYPE_CHECKING:
    from commands.site.site import Site

logger = logging.getLogger("backup_ledger.scheduler")
DEFAULT_PREFIX = "/database"
ROUTES = (
    database,
    settings,
    backups,
    downloads,
    restoring,
    comparing,
    offsite,
    retention,
    runs,
    audit,
    following,
    projections,
    jobs,
    trouble,
)


def create_router(
    place: Site | BackupService | ServedSite,
    caller: Callable[..., Any],
    *,
    prefix: str = DEFAULT_PREFIX,
    with_scheduler: bool = False,
    scheduler_runs: Callable[[], bool] | None = None,
) -> APIRouter:
    """The routes, without authentication of their own.

    `with_scheduler`: in the lifespan of the application that the router is included in, the
    scheduler runs, on a thread of its own.

    `caller`: a FastAPI dependency that returns a `Caller`, or raises for whom it does not know;
    protection from forged requests is its business too, where it takes cookies.
    `scheduler_runs`: whether a scheduler runs in this process.
    """
    served = served_site(place, scheduler_runs)
    lifespan = scheduling(served) if with_scheduler else None
    return build_router(lambda _request: served, caller, prefix=prefix, lifespan=lifespan)


def build_router(
    served: Callable[[Request], ServedSite],
    caller: Callable[..., Any],
    *,
    prefix: str,
    lifespan: Callable[[Any], AbstractAsyncContextManager[None]] | None = None,
    include_in_schema: bool = True,
) -> APIRouter:
    """The routes over what `served` finds for a request."""
    router = APIRouter(
        prefix=prefix,
        route_class=LedgerRoute,
        dependencies=[Depends(binding(served, caller))],
        lifespan=lifespan,
        include_in_schema=include_in_schema,
    )
    for each in ROUTES:
        describe(each.router)
        router.include_router(each.router)
    return router


_KNOWN: WeakValueDictionary[int, ServedSite] = WeakValueDictionary()
"""By the identity of their site: what refers to it keeps it from becoming another's."""


def served_site(
    place: Site | BackupService | ServedSite, scheduler_runs: Callable[[], bool] | None = None
) -> ServedSite:
    """A site as it is served: the same for router and console of an application."""
    if isinstance(place, ServedSite):
        return place
    site = place.site if isinstance(place, BackupService) else place
    found = _KNOWN.get(id(site))
    if found is None or found.stopping.is_set():
        found = _KNOWN[id(site)] = ServedSite(site)
    if isinstance(place, BackupService):
        found.opened_by = place
    if scheduler_runs is not None:
        found.scheduler_runs = scheduler_runs
    return found


def binding(
    served: Callable[[Request], ServedSite], caller: Callable[..., Any]
) -> Callable[..., None]:
    """The dependency that tells the routes on what they work, and who asks."""

    def bind(request: Request, who: Annotated[Caller, Depends(caller)]) -> None:
        place = served(request)
        request.state.backup_ledger = place
        request.state.backup_ledger_caller = who
        enter(request, place, who)
        require_known_parameters(request)

    # Annotations are text here; FastAPI needs the dependency itself.
    bind.__annotations__["who"] = Annotated[Caller, Depends(caller)]
    bind.__annotations__["request"] = Request
    return bind


def scheduling(served: ServedSite) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """A lifespan in which the scheduler runs; its end waits for the running backup."""

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        stop = threading.Event()

        def work() -> None:
            try:
                run_scheduler(served.site, stop=stop)
            except Exception:
                logger.exception("the scheduler ended: nothing is backed up until a new start")

        thread = threading.Thread(target=work, name="backup-ledger-scheduler", daemon=True)
        thread.start()
        served.scheduler_runs = thread.is_alive
        try:
            yield
        finally:
            stop.set()
            await run_in_threadpool(thread.join)
            await run_in_threadpool(served.close)

    return lifespan
