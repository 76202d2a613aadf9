"""What is not all right, and why runs failed: the verdict of `status`, and causes."""

from __future__ import annotations

from fastapi import APIRouter, Response

from commands.health.causes import causes_of_failures
from commands.http.callers import Reader
from commands.http.ledger_route import LedgerRoute
from commands.http.served_site import Served
from commands.http.shapes import answer
from commands.shapes.trouble import CauseShape, TroubleShape

router = APIRouter(route_class=LedgerRoute, tags=["trouble"])


@router.get(
    "/trouble",
    operation_id="show_trouble",
    response_model=TroubleShape,
    summary="What needs attention, and the causes of failed runs",
)
def show(_caller: Reader, served: Served) -> Response:
    """`causes`: failed runs of the last thirty days, those that still fail first."""
    with served.site.read_models.reading() as connection:
        causes = causes_of_failures(connection, served.site.clock.now())
    verdict = served.recent_verdict()
    shown = [CauseShape.of(each) for each in causes]
    return answer(TroubleShape(**verdict.as_json(), causes=shown))
