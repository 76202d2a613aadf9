"""The list of runs, with what went wrong."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request, Response

from commands.errors import InvalidArgument
from commands.http.callers import Anybody
from commands.http.console.lists.csv import list_as_csv
from commands.http.console.lists.listing import Listing, Paged, Text, listing, owners_of
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.watching.work import works_of_runs
from commands.http.routes.runs import runs_shown
from commands.http.served_site import Served
from commands.schedules.user_names import user_names
from ledger.vocabulary import RunOutcome
from projections.queries.catalog import backups_with_ids
from projections.queries.lists import Place, Wanted, count_runs
from projections.queries.schedules import runs_list

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from commands.http.callers import Caller
    from commands.http.served_site import ServedSite
    from projections.folds.run import Run

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/runs"
ORDERS = ("begun",)
COLUMNS = (
    *("run_id", "user_id", "slot", "attempt", "outcome", "backup_id", "started_at", "ended_at"),
    *("duration_seconds", "error_type", "error_message"),
)
_VALUES = attrgetter(*COLUMNS)


class Asked(Paged):
    """The form of filters; what is empty filters nothing."""

    user: Text = ""
    outcome: Text = ""


AskedOf = Annotated[Asked, Query()]


@router.get(PLACE)
def show(request: Request, caller: Anybody, served: Served, asked: AskedOf) -> Response:
    return _runs_page(request, caller, served, asked)


@router.get(f"{PLACE}.csv")
def save(request: Request, caller: Anybody, served: Served, asked: AskedOf) -> Response:
    found, owners, outcome = _chosen(served, caller, asked)
    if found.problems:
        return _runs_page(request, caller, served, asked)
    return list_as_csv(
        served.site,
        found,
        COLUMNS,
        lambda connection, wanted: runs_shown(
            served, caller, _rows(connection, owners, outcome, wanted)
        ),
        _place,
        _VALUES,
    )


def _runs_page(request: Request, caller: Caller, served: ServedSite, asked: Asked) -> Response:
    found, owners, outcome = _chosen(served, caller, asked)
    wanted = found.wanted()
    rows: list[Run] = []
    with served.site.read_models.reading() as connection:
        if not found.problems:
            rows = _rows(connection, owners, outcome, wanted)
            found.number = count_runs(connection, owners, outcome)
        rows = found.shown(rows, wanted, _place)
        made = backups_with_ids(connection, [each.backup_id for each in rows if each.backup_id])
    running = [each for each in rows if each.outcome == RunOutcome.RUNNING]
    return page(
        request,
        caller,
        "runs.html",
        422 if found.problems else 200,
        listing=found,
        asked=asked,
        runs=runs_shown(served, caller, rows),
        works={each.id: each for each in works_of_runs(served.site, running)},
        names=user_names(served.site, [each.user_id for each in rows]),
        backups=made,
        outcomes=list(RunOutcome),
    )


def _chosen(
    served: ServedSite, caller: Caller, asked: Asked
) -> tuple[Listing, Collection[int] | None, str | None]:
    found = listing(PLACE, asked, ORDERS, "-begun")
    owners = owners_of(served.site, caller, asked.user, found, "runs")
    return found, owners, found.checked("outcome", lambda: _outcome(asked.outcome))


def _rows(
    connection: Connection, owners: Collection[int] | None, outcome: str | None, wanted: Wanted
) -> list[Run]:
    place = wanted.place
    is_rising = wanted.order.is_falling is wanted.is_before
    rows, _following = runs_list(
        connection,
        owners,
        outcome,
        beyond=None if place is None else place.number,
        limit=wanted.limit,
        oldest_first=is_rising,
    )
    return rows[::-1] if wanted.is_before else rows


def _place(run: Run) -> Place:
    return Place(run.position, run.position)


def _outcome(text: str) -> str | None:
    if text and text not in list(RunOutcome):
        raise InvalidArgument(
            f"there is no outcome {text[:40]!r}; give {', '.join(RunOutcome)}, or nothing"
        )
    return text or None
