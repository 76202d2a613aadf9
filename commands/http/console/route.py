"""What every page does besides its own work: errors are pages too, and a login is asked for."""

from __future__ import annotations

import json

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from commands.http.console.page import BASE, page_of_problem, referring_page
from commands.http.console.session import DoneBefore, door_of
from commands.http.ledger_route import LedgerRoute
from commands.http.problems import answer_to


class ConsoleRoute(LedgerRoute):
    """A route that answers pages."""

    def failed(self, request: Request, error: Exception) -> Response:
        way_in = door_of(request).way_in(request, error)
        if way_in is not None:
            return RedirectResponse(way_in, 303)
        if isinstance(error, DoneBefore):
            error.session.said.append("That was done already; nothing was done twice.")
            return RedirectResponse(referring_page(request) or BASE, 303)
        found = answer_to(error)
        return page_of_problem(request, json.loads(bytes(found.body)), found)
