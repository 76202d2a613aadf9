"""For those who watch machines: is it up, can it work, and its numbers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.responses import PlainTextResponse

from commands.health.offsite_metrics import offsite_metrics
from commands.health.watch_metrics import watch_metrics
from commands.http.authentication import authenticated
from commands.http.ledger_route import LedgerRoute
from commands.http.problems import problem, status_of
from commands.http.schema import also
from commands.http.served_site import ServedSite, served_by_app
from commands.http.shapes import answer
from commands.reporting.metrics import CONTENT_TYPE, Metric, exposition, metrics, of_site
from commands.shapes.database import Health, Readiness
from commands.site.site import Site
from projections.projector.projector import read_progress

router = APIRouter(route_class=LedgerRoute, tags=["health"])
"""The routes without the prefix."""


def everything(site: Site) -> list[Metric]:
    """Every metric of a site, with its name where it has one."""
    found = [*metrics(site), *watch_metrics(site), *offsite_metrics(site)]
    return of_site(found, site.configuration.site)


@router.get(
    "/health", operation_id="get_health", response_model=Health, summary="The process answers"
)
async def health() -> Response:
    # Without a thread: those of the pool may all be busy.
    return answer({"status": "ok"})


@router.get(
    "/ready",
    operation_id="get_readiness",
    response_model=Readiness,
    responses=also(400, 503),
    summary="Ledger, folder and read models can be used",
)
def ready(request: Request) -> Response:
    try:
        found = readiness(served_by_app(request))
    except Exception as error:  # noqa: BLE001  (whatever it is, it is why)
        return problem(503, f"not ready: {type(error).__name__} ({status_of(error)})")
    return answer(found)


@router.get(
    "/metrics",
    operation_id="get_metrics",
    responses=also(400, 401, 403, 429, 503),
    response_class=PlainTextResponse,
    summary="Prometheus' text format",
)
def show_metrics(request: Request) -> Response:
    served = served_by_app(request)
    if not served.metrics_open and authenticated(request).role == "user":
        raise HTTPException(403, "the role user may not do this; it takes operator or auditor")
    return Response(
        exposition(everything(served.site)),
        media_type=CONTENT_TYPE,
    )


def readiness(served: ServedSite) -> dict[str, Any]:
    """Where everything stands; whatever cannot be used raises.

    `problems`: how many things `status` names. They do not make the service unready: it is what
    they are mended through. Which ones is not for strangers.
    """
    site = served.site
    size = site.ledger.log_recorder.head().size
    site.store  # noqa: B018  (raises where the folder is not the store)
    with site.read_models.reading() as connection:
        behind = size - min(
            (each.position for each in read_progress(connection).values()), default=0
        )
    problems = len(served.recent_verdict().findings)
    return {"status": "ready", "ledger_size": size, "lag": max(behind, 0), "problems": problems}
