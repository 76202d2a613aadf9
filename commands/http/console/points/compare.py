"""What differs between two backups, or between one and the database: tables, then rows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from starlette.responses import RedirectResponse

from commands.errors import CommandError
from commands.http.callers import Reader
from commands.http.comparisons import compare_work
from commands.http.console.job import job_page
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import Here
from commands.http.served_site import Served
from commands.restore import LIVE

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/compare"
Text = Annotated[str, Query(max_length=300)]
UNDER = f"{BASE}/restore-points"
FIELDS = ("older", "newer", "table")


@router.get(PLACE)
def show(
    request: Request, caller: Reader, older: Text = "", newer: Text = "", table: Text = ""
) -> Response:
    filled = {"older": older, "newer": newer, "table": table}
    is_operator = caller.role == "operator"
    return page(
        request,
        caller,
        "compare.html",
        under=UNDER,
        filled=filled,
        problem=None,
        may_see_rows=is_operator,
    )


@router.post(PLACE)
def compare(request: Request, caller: Reader, served: Served, visit: Here) -> Response:
    """Rows hold everybody's data: like a download, they take an operator."""
    filled = {name: visit.form.get(name, "").strip() for name in FIELDS}
    is_operator = caller.role == "operator"
    if filled["table"] and not is_operator:
        raise HTTPException(403, f"the role {caller.role} may not see rows; it takes operator")
    try:
        newer = filled["newer"] or LIVE
        work = compare_work(served, filled["older"], newer, filled["table"] or None)
    except (CommandError, ValueError) as error:
        found = {"filled": filled, "problem": str(error), "may_see_rows": is_operator}
        return page(request, caller, "compare.html", 422, under=UNDER, **found)
    return RedirectResponse(job_page(served.jobs.start("compare", caller, work)), 303)
