"""A month of good backups, and the last one before a moment."""

from __future__ import annotations

import re
from calendar import Calendar, month_name
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from commands.errors import InvalidArgument
from commands.http.callers import Anybody
from commands.http.console.lists.listing import Listing, Paged, Text, listing, owners_of
from commands.http.console.page import BASE, page, reader_zone
from commands.http.console.route import ConsoleRoute
from commands.http.served_site import Served
from commands.reporting.humanize import parse_moment_end
from commands.schedules.user_names import user_names
from projections.queries.restore_points import good_backups, good_by_day, last_good_backup

if TYPE_CHECKING:
    from projections.folds.backup import Backup

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/restore-points"
SHOWN = 50
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


class Asked(Paged):
    """Which month, which day of it, whose, and the moment to go back to."""

    month: Text = ""
    day: Text = ""
    user: Text = ""
    until: Text = ""


@dataclass(frozen=True, slots=True)
class Day:
    """A square of the calendar. `number`: of good backups; `address`: where they are shown."""

    day: date
    number: int
    is_in_month: bool
    is_chosen: bool
    address: str


@dataclass(frozen=True, slots=True)
class Month:
    """A month as weeks from Monday, and the ways to those beside it."""

    name: str
    weeks: list[list[Day]]
    before: str
    after: str


@router.get(PLACE)
def show(
    request: Request, caller: Anybody, served: Served, asked: Annotated[Asked, Query()]
) -> Response:
    site, now, where = served.site, served.site.clock.now(), reader_zone(request, caller)
    found = listing(PLACE, asked, ("made",), "-made")
    owners = owners_of(site, caller, asked.user, found, "backups")
    owner = found.checked("user", lambda: _one(owners))
    day = found.checked("day", lambda: date.fromisoformat(asked.day)) if asked.day else None
    until = (
        found.checked("until", lambda: parse_moment_end(asked.until, where))
        if asked.until
        else None
    )
    first = found.checked("month", lambda: _month_of(asked.month), None) if asked.month else None
    newest: Backup | None = None
    there: list[Backup] = []
    with site.read_models.reading() as connection:
        store, numbers = site.store.store_id, {}
        if not found.problems:
            newest = last_good_backup(connection, store, until=until or now, user_id=owner)
        last = newest.created_at if newest else until or now
        first = (first or day or last).replace(day=1)
        begin = datetime(first.year, first.month, 1, tzinfo=UTC)
        if not found.problems:
            numbers = good_by_day(connection, store, begin, _next(begin), owner)
        if day is not None and not found.problems:
            since = datetime(day.year, day.month, day.day, tzinfo=UTC)
            end = since + timedelta(days=1) - timedelta(microseconds=1)
            there = good_backups(
                connection, store, since=since, until=end, user_id=owner, limit=SHOWN
            )
    return page(
        request,
        caller,
        "restore_points.html",
        422 if found.problems else 200,
        now=now,
        listing=found,
        asked=asked,
        until=until,
        newest=newest,
        day=day,
        there=there,
        number=0 if day is None else numbers.get(day, 0),
        names=user_names(site, [each.user_id for each in (*there, *filter(None, [newest]))]),
        month=_month(found, begin.date(), day, numbers),
        may_restore=caller.role == "operator",
    )


def _month(found: Listing, first: date, chosen: date | None, numbers: dict[date, int]) -> Month:
    kept = {name: value for name, value in found.asked.kept().items() if name in ("user", "until")}

    def address(**more: str) -> str:
        return f"{PLACE}?{urlencode(kept | more)}"

    weeks = [
        [
            Day(
                day,
                numbers.get(day, 0),
                day.month == first.month,
                day == chosen,
                address(day=day.isoformat()),
            )
            for day in week
        ]
        for week in Calendar().monthdatescalendar(first.year, first.month)
    ]
    last = first.replace(day=28) + timedelta(days=4)
    return Month(
        f"{month_name[first.month]} {first.year}",
        weeks,
        address(month=f"{first - timedelta(days=1):%Y-%m}"),
        address(month=f"{last:%Y-%m}"),
    )


def _next(begin: datetime) -> datetime:
    """The first moment of the next month."""
    return (begin.replace(day=28) + timedelta(days=4)).replace(day=1)


def _month_of(text: str) -> datetime:
    found = _MONTH.fullmatch(text)
    if found is None or not 1970 <= int(found[1]) <= 9000:  # noqa: PLR2004  (years, as they are)
        raise InvalidArgument(f"{text[:20]!r} is not a month; write 2025-01")
    return datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC)


def _one(owners: object) -> int | None:
    if owners is None:
        return None
    found = list(owners)  # type: ignore[call-overload]
    if len(found) != 1:
        told = "no user matches" if not found else f"{len(found)} users match"
        raise InvalidArgument(f"{told}; give the number of one")
    return int(found[0])
