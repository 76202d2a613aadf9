"""What every page does besides its own work: errors are pages too, and a login is asked for."""

from __future__ import annotations

import json
from urllib.parse import quote

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from commands.http.console.page import BASE, page_of_problem, referring_page
from commands.http.console.session import DoneBefore, LoginNeeded
from commands.http.ledger_route import LedgerRoute
from commands.http.problems import answer_to


class ConsoleRoute(LedgerRoute):
    """A route that answers pages."""

    def failed(self, request: Request, error: Exception) -> Response:
        if isinstance(error, LoginNeeded):
            return RedirectResponse(f"{BASE}/login{_return(request)}", 303)
        if isinstance(error, DoneBefore):
            error.session.said.append("That was done already; nothing was done twice.")
            return RedirectResponse(referring_page(request) or BASE, 303)
        found = answer_to(error)
        return page_of_problem(request, json.loads(bytes(found.body)), found)


def _return(request: Request) -> str:
    if request.method != "GET" or request.url.path == BASE:
        return ""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"?next={quote(asked, safe='')}"
