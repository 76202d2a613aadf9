"""Runs: newest first, with what went wrong."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from commands.http.callers import Anybody
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.watching.work import works_of_runs
from commands.http.problems import not_found
from commands.http.routes.runs import runs_shown
from commands.http.served_site import Served
from ledger.vocabulary import RunOutcome
from projections.queries.catalog import backups_with_ids
from projections.queries.schedules import run_with_id

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/runs"


@router.get(f"{PLACE}/{{run_id}}")
def show(request: Request, caller: Anybody, served: Served, run_id: str) -> Response:
    with served.site.read_models.reading() as connection:
        found = run_with_id(connection, run_id)
        made = (
            {}
            if found is None or found.backup_id is None
            else backups_with_ids(connection, [found.backup_id])
        )
    if found is None or not caller.owns(found.user_id):
        raise not_found(f"there is no run {run_id[:100]!r}")
    (found,) = runs_shown(served, caller, [found])
    backup = made.get(found.backup_id or "")
    is_running = found.outcome == RunOutcome.RUNNING
    (work,) = works_of_runs(served.site, [found]) if is_running else (None,)
    return page(request, caller, "run.html", run=found, backup=backup, work=work)
