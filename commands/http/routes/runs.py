"""Runs of the scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Response

from commands.http.callers import Anybody, Caller
from commands.http.ledger_route import LedgerRoute
from commands.http.problems import not_found
from commands.http.schema import also
from commands.http.served_site import Served, ServedSite
from commands.http.shapes import answer
from commands.shapes.runs import RunPage, RunShape
from ledger.vocabulary import MAX_USER_ID, RunOutcome
from projections.queries.schedules import run_with_id, runs_page

if TYPE_CHECKING:
    from projections.folds.run import Run

router = APIRouter(route_class=LedgerRoute, tags=["runs"])


@router.get(
    "/runs",
    operation_id="list_runs",
    response_model=RunPage,
    responses=also(404),
    summary="Runs, newest first, in pages",
)
def list_runs(
    caller: Anybody,
    served: Served,
    user_id: Annotated[int | None, Query(ge=1, le=MAX_USER_ID)] = None,
    outcome: RunOutcome | None = None,
    cursor: Annotated[int | None, Query(ge=1, le=MAX_USER_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    if user_id is not None and not caller.owns(user_id):
        raise not_found(f"user {user_id} has no runs")
    whose = caller.user_id or user_id
    with served.site.read_models.reading() as connection:
        found, following = runs_page(connection, whose, outcome, before=cursor, limit=limit)
    shown = [RunShape.of(each) for each in runs_shown(served, caller, found)]
    return answer(RunPage(runs=shown, next_cursor=following))


@router.get("/runs/{run_id}", operation_id="get_run", response_model=RunShape, summary="One run")
def show(caller: Anybody, served: Served, run_id: str) -> Response:
    with served.site.read_models.reading() as connection:
        found = run_with_id(connection, run_id)
    if found is None or not caller.owns(found.user_id):
        raise not_found(f"there is no run {run_id[:100]!r}")
    (shown,) = runs_shown(served, caller, [found])
    return answer(RunShape.of(shown))


def runs_shown(served: ServedSite, caller: Caller, runs: Sequence[Run]) -> list[Run]:
    """Runs as a caller gets them: what went wrong names no path of the server to a user."""
    return [
        replace(each, error_message=served.shown_to(caller, each.error_message))
        if each.error_message
        else each
        for each in runs
    ]
