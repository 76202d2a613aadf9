"""Pausing and resuming many schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from commands.errors import InvalidArgument
from commands.http.callers import Operator
from commands.http.console.lists.bulk import (
    MAX_ROWS,
    Act,
    Bulk,
    Order,
    Row,
    asked_again,
    one_by_one,
)
from commands.http.console.lists.schedules import PLACE, Asked, chosen_schedules, schedules_page
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import Here
from commands.http.ledger_route import Command
from commands.http.served_site import Served
from commands.schedules.settings import pause, resume
from projections.queries.lists import Wanted, schedules_list

if TYPE_CHECKING:
    from collections.abc import Iterable

    from commands.http.callers import Caller
    from commands.http.jobs import Tell
    from commands.http.served_site import ServedSite

router = APIRouter(route_class=ConsoleRoute)


def _pause(order: Order, tell: Tell) -> Iterable[Row]:
    def work(user: str) -> str:
        pause(order.served.site, order.context, _user(user), order.form.get("note") or None)
        return "paused"

    return one_by_one(order, tell, work)


def _resume(order: Order, tell: Tell) -> Iterable[Row]:
    def work(user: str) -> str:
        resume(order.served.site, order.context, _user(user), order.form.get("note") or None)
        return "resumed"

    return one_by_one(order, tell, work)


def _user(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InvalidArgument(f"{text[:40]!r} is not the number of a user")
    return int(text[:19])


def _matching(served: ServedSite, caller: Caller, query: dict[str, str], head: int) -> list[str]:
    del head  # the number of schedules is compared, and they do not come and go
    found, which = chosen_schedules(served, caller, asked_again(Asked, query))
    found.require_sound()
    with served.site.read_models.reading() as connection:
        rows = schedules_list(connection, which, Wanted(found.order, limit=MAX_ROWS + 1))
    return [str(each.user_id) for each in rows]


BULK = Bulk(
    kind="bulk_schedules",
    thing="schedule",
    path=PLACE,
    acts={"pause": Act("Pause", "paused", _pause), "resume": Act("Resume", "resumed", _resume)},
    matching=_matching,
    checked=lambda _act, _form: None,
)


@router.post(f"{PLACE}/bulk")
def bulk(
    request: Request, caller: Operator, context: Command, served: Served, visit: Here
) -> Response:
    try:
        return BULK.answer(request, caller, served, context, visit.form)
    except InvalidArgument as error:
        again = asked_again(Asked, visit.form)
        return schedules_page(request, caller, served, again, str(error))
