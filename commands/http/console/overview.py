"""The overview: one glance, for everybody's backups or for one's own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from commands.http.callers import Anybody
from commands.http.console.charts import area_chart, year_chart
from commands.http.console.overview_facts import overview_of_all, overview_of_user
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.schedules import Digits, number_of
from commands.http.console.watching.work import running_work
from commands.http.served_site import Served
from commands.schedules.user_names import user_names
from ledger.vocabulary import MAX_USER_ID
from projections.queries.overview import schedules_in_state

router = APIRouter(route_class=ConsoleRoute)
USERS = 25


@router.get(BASE)
def show(
    request: Request,
    caller: Anybody,
    served: Served,
    user: Digits = "",
    after: Annotated[int, Query(ge=0, le=MAX_USER_ID)] = 0,
) -> Response:
    now = served.site.clock.now()
    users = None
    if caller.user_id is None:
        found = overview_of_all(served, now)
        with served.site.read_models.reading(at_head=False) as connection:
            users = schedules_in_state(
                connection, "any", now, user_id=number_of(user), after=after, limit=USERS + 1
            )
    else:
        found = overview_of_user(served, caller.user_id, now)
    return page(
        request,
        caller,
        "overview.html",
        now=now,
        overview=found,
        works=running_work(served, caller),
        users=None if users is None else users[:USERS],
        names=user_names(served.site, [each.user_id for each in (*found.troubled, *(users or ()))]),
        more=users is not None and len(users) > USERS,
        paged=bool(after or user),
        asked_user=user,
        storage=area_chart(found.storage or []),
        is_counting=found.storage is None,
        year=year_chart(found.outcomes, now.date()),
    )
