"""The console: pages for people, over the same commands and the same ledger as everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse

from commands.http.console import (
    audit,
    audit_event,
    backups,
    login,
    offsite,
    overview,
    projections,
    restore,
    runs,
    schedules,
    static_files,
    time_machine,
)
from commands.http.console import job as progress
from commands.http.console.page import BASE
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import Door, ReadingOnly, Sessions
from commands.http.problems import not_found
from commands.http.router import binding, create_router

if TYPE_CHECKING:
    from commands.http.authentication import Authentication
    from commands.http.served_site import ServedSite

PAGES = (
    overview,
    schedules,
    backups,
    restore,
    runs,
    progress,
    audit,
    audit_event,
    time_machine,
    offsite,
    projections,
)


def create_console(
    served: ServedSite, authentication: Authentication, sessions: Sessions | None = None
) -> APIRouter:
    """All pages, at /console. `sessions`: those that several sites share.

    Whoever logs in with a token gets a session; before a token was made, the person at this
    machine needs none. Scripts of the pages read the API at /console/api, by the same session.
    """
    door = Door(served.site.clock, authentication, sessions)
    inside = APIRouter(route_class=ConsoleRoute, dependencies=[Depends(binding(served, door))])
    for each in PAGES:
        inside.include_router(each.router)
    inside.add_api_route(f"{BASE}/{{rest:path}}", _nothing, include_in_schema=False)
    whole = APIRouter(include_in_schema=False)
    whole.include_router(static_files.router)
    whole.include_router(login.create_login(door))
    whole.include_router(create_router(served, ReadingOnly(door), prefix=f"{BASE}/api"))
    whole.include_router(inside)
    whole.add_api_route("/", lambda: RedirectResponse(BASE, 303), response_model=None)
    return whole


def _nothing(rest: str) -> None:
    raise not_found(f"there is no page {rest[:100]!r}")
