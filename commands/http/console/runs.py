"""Runs: newest first, with what went wrong."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from commands.http.callers import Anybody
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.schedules import Digits, number_of
from commands.http.problems import not_found
from commands.http.served_site import Served
from ledger.vocabulary import MAX_USER_ID, RunOutcome
from projections.queries.catalog import backups_with_ids
from projections.queries.schedules import run_with_id, runs_page

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/runs"
PAGE = 50


@router.get(PLACE)
def newest(
    request: Request,
    caller: Anybody,
    served: Served,
    user: Digits = "",
    outcome: Annotated[str, Query(pattern="^(|running|completed|failed|abandoned)$")] = "",
    cursor: Annotated[int | None, Query(ge=1, le=MAX_USER_ID)] = None,
) -> Response:
    asked = number_of(user)
    if asked is not None and not caller.owns(asked):
        raise not_found(f"user {asked} has no runs")
    with served.site.read_models.reading() as connection:
        found, following = runs_page(
            connection, caller.user_id or asked, outcome or None, before=cursor, limit=PAGE
        )
        made = backups_with_ids(connection, [each.backup_id for each in found if each.backup_id])
    chosen = {"user": user, "outcome": outcome}
    kept = {name: value for name, value in chosen.items() if value}
    more = f"{PLACE}?{urlencode(kept | {'cursor': following})}" if following else None
    return page(
        request,
        caller,
        "runs.html",
        runs=found,
        backups=made,
        outcomes=list(RunOutcome),
        outcome=outcome,
        user=user,
        newer=f"{PLACE}?{urlencode(kept)}" if cursor else None,
        older=more,
    )


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
    backup = made.get(found.backup_id or "")
    return page(request, caller, "run.html", run=found, backup=backup)
