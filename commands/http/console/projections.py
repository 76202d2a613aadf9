"""The read models: how far each is, folding one anew, comparing one with the ledger."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from commands.http.callers import Operator, Reader
from commands.http.console.job import job_page
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.ledger_route import Command
from commands.http.routes.projections import diff_work, rebuild_work, require_projection
from commands.http.served_site import Served
from projections.errors import ProjectionError
from projections.projector.standing import standing

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/projections"
ABOUT = {
    "backup_settings": "each user's schedule, and where its runs stand",
    "backup_catalog": "every backup there ever was",
    "backup_runs": "every run of the scheduler",
    "offsite_destinations": "where copies go",
    "offsite_copies": "copies elsewhere",
    "audit_trail": "which events there are, for filters",
}


@router.get(PLACE)
def show(request: Request, caller: Reader, served: Served) -> Response:
    site = served.site
    with suppress(ProjectionError):  # what stands there can be told all the same
        site.read_models.catch_up()
    size = site.ledger.log_recorder.head().size
    return page(
        request,
        caller,
        "projections.html",
        projections=standing(site.read_models.engine, site.ledger),
        about=ABOUT,
        size=size,
        may_rebuild=caller.role == "operator",
    )


@router.post(f"{PLACE}/{{name}}/rebuild")
def rebuild(caller: Operator, context: Command, served: Served, name: str) -> Response:
    require_projection(name)
    work = rebuild_work(served, context, name)
    return RedirectResponse(job_page(served.jobs.start("rebuild", caller, work)), 303)


@router.post(f"{PLACE}/{{name}}/diff")
def diff(caller: Reader, served: Served, name: str) -> Response:
    require_projection(name)
    work = diff_work(served, name)
    return RedirectResponse(job_page(served.jobs.start("diff", caller, work)), 303)
