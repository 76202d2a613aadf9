"""The console: pages for people, over the same commands and the same ledger as everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute

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
from commands.http.console.administration import notifications, tokens
from commands.http.console.lists import backups as backups_list
from commands.http.console.lists import bulk_backups, bulk_schedules
from commands.http.console.lists import runs as runs_list
from commands.http.console.lists import schedules as schedules_list
from commands.http.console.page import BASE
from commands.http.console.points import calendar, compare, other_ways
from commands.http.console.preferences import choose_times
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import reading_visitor, visitor
from commands.http.console.watching import stream, trouble
from commands.http.problems import not_found
from commands.http.router import binding, build_router
from commands.http.served_site import served_by_app

PAGES = (
    overview,
    schedules_list,
    bulk_schedules,
    schedules,
    backups_list,
    bulk_backups,
    backups,
    restore,
    calendar,
    compare,
    other_ways,
    runs_list,
    runs,
    progress,
    stream,
    trouble,
    audit,
    audit_event,
    time_machine,
    offsite,
    projections,
    notifications,
    choose_times,
)


def console_routes() -> list[BaseRoute]:
    """All pages, at /console, of whatever site the application that is asked serves.

    Whoever logs in with a token gets a session. Scripts of the pages read the API at
    /console/api, by the same session.
    """
    start = APIRoute(
        "/", lambda: RedirectResponse(BASE, 303), response_model=None, include_in_schema=False
    )
    pages = pages_for(visitor, reading_visitor, tokens.router)
    return [*login.router.routes, *pages, start]


def pages_for(
    visitor: Callable[..., Any], reader: Callable[..., Any], *more: APIRouter
) -> list[BaseRoute]:
    """All pages, and the API that their scripts read.

    `visitor`, `reader`: the dependencies that let in who looks, and who reads by a script.
    `more`: pages besides.
    """
    bound = Depends(binding(served_by_app, visitor))
    inside = APIRouter(route_class=ConsoleRoute, dependencies=[bound], include_in_schema=False)
    for each in (*(page.router for page in PAGES), *more):
        inside.include_router(each)
    inside.add_api_route(f"{BASE}/{{rest:path}}", _nothing)
    read = build_router(served_by_app, reader, prefix=f"{BASE}/api", include_in_schema=False)
    return [*static_files.router.routes, *read.routes, *inside.routes]


def _nothing(rest: str) -> None:
    raise not_found(f"there is no page {rest[:100]!r}")
