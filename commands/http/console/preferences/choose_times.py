"""The choice at the foot of each page: times of the schedule, of the visitor's browser, or UTC."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response

from commands.http.callers import Anybody
from commands.http.console.page import BASE, address_of_console, done, referring_page
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import Here
from commands.http.console.times.view import COOKIE
from commands.schedules.local_time import is_known

router = APIRouter(route_class=ConsoleRoute)
YEAR_SECONDS = 365 * 24 * 3600
TOLD = {
    "schedule": "Times are now shown in the zone of the schedule that they belong to.",
    "utc": "Times are now shown in UTC.",
}


@router.post(f"{BASE}/times")
def choose(request: Request, _caller: Anybody, visit: Here) -> Response:
    chosen, zone = visit.form.get("times", ""), visit.form.get("zone", "")
    if chosen == "local":
        if not is_known(zone):
            raise HTTPException(422, f"the time zone {zone[:60]!r} is not known here; choose UTC")
        chosen, told = f"local:{zone}", f"Times are now shown in {zone}."
    elif chosen in TOLD:
        told = TOLD[chosen]
    else:
        raise HTTPException(
            422, f"times: {chosen[:40]!r} is not a choice; use schedule, local, utc"
        )
    response = done(request, referring_page(request) or BASE, told)
    response.set_cookie(
        COOKIE,
        chosen,
        max_age=YEAR_SECONDS,
        path=address_of_console(request).start,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response
