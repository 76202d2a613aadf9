"""The list of schedules."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from commands.errors import InvalidArgument
from commands.http.callers import Anybody, Reader
from commands.http.console.lists.csv import list_as_csv
from commands.http.console.lists.listing import Listing, Paged, Text, listing, owners_of
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.served_site import Served
from commands.schedules.user_names import user_names
from projections.queries.lists import (
    Place,
    SchedulesWanted,
    count_matching_schedules,
    schedules_list,
)
from projections.queries.overview import STATES, State
from projections.queries.schedules import orphaned_users

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.http.callers import Caller
    from commands.http.served_site import ServedSite
    from projections.folds.schedule import Schedule
    from projections.queries.lists import Order

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/schedules"
ORDERS = ("user", "keep", "last", "next")
COLUMNS = (
    *("user_id", "enabled", "paused", "frequency", "backup_time", "cron", "timezone"),
    *("keep_count", "keep_within_days", "keep_daily", "keep_weekly", "keep_monthly"),
    *("keep_yearly", "last_backup_at", "next_backup_at", "failures", "created_at", "updated_at"),
)
_VALUES: Callable[[Any], tuple[Any, ...]] = attrgetter(*COLUMNS)


class Asked(Paged):
    """The form of filters; what is empty filters nothing."""

    state: Text = ""
    user: Text = ""


AskedOf = Annotated[Asked, Query()]


@router.get(PLACE)
def show(request: Request, caller: Anybody, served: Served, asked: AskedOf) -> Response:
    if caller.user_id is not None:
        return RedirectResponse(f"{PLACE}/{caller.user_id}", 303)
    return schedules_page(request, caller, served, asked)


@router.get(f"{PLACE}.csv")
def save(request: Request, caller: Reader, served: Served, asked: AskedOf) -> Response:
    found, which = chosen_schedules(served, caller, asked)
    if found.problems:
        return schedules_page(request, caller, served, asked)
    return list_as_csv(
        served.site,
        found,
        COLUMNS,
        lambda connection, wanted: schedules_list(connection, which, wanted),
        place_in(found.order),
        _VALUES,
    )


def schedules_page(
    request: Request,
    caller: Caller,
    served: ServedSite,
    asked: Asked,
    problem: str | None = None,
) -> Response:
    """The list; `problem`: why what was asked for was not done."""
    found, which = chosen_schedules(served, caller, asked)
    wanted = found.wanted()
    rows: list[Schedule] = []
    with served.site.read_models.reading() as connection:
        orphans = orphaned_users(connection)
        if not found.problems:
            rows = schedules_list(connection, which, wanted)
            found.number = count_matching_schedules(connection, which)
    rows = found.shown(rows, wanted, place_in(found.order))
    return page(
        request,
        caller,
        "schedules.html",
        422 if found.problems or problem else 200,
        now=which.now,
        listing=found,
        asked=asked,
        problem=problem,
        schedules=rows,
        names=user_names(served.site, [each.user_id for each in rows]),
        orphans=orphans,
        states=STATES,
        chosen=asked.state or STATES[0],
        may_change=caller.role != "auditor",
    )


def chosen_schedules(
    served: ServedSite, caller: Caller, asked: Asked
) -> tuple[Listing, SchedulesWanted]:
    """What the filters mean, with what is wrong with them."""
    found = listing(PLACE, asked, ORDERS, "user")
    owners = owners_of(served.site, caller, asked.user, found, "schedules")
    state = found.checked("state", lambda: _state(asked.state or STATES[0]), STATES[0])
    return found, SchedulesWanted(state, served.site.clock.now(), owners)


def place_in(order: Order) -> Any:
    """Where a schedule stands in an order."""
    values: dict[str, Callable[[Schedule], Any]] = {
        "user": lambda each: each.user_id,
        "keep": lambda each: each.keep_count,
        "last": lambda each: each.last_backup_at,
        "next": lambda each: each.next_backup_at,
    }
    value = values[order.by]
    return lambda schedule: Place(value(schedule), schedule.user_id)


def _state(text: str) -> State:
    if text not in STATES:
        raise InvalidArgument(f"there is no state {text[:40]!r}; give {', '.join(STATES)}")
    return text
