"""The read models: where they stand, folding them anew, comparing them with the ledger."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response

from commands.http.callers import Operator, Reader
from commands.http.jobs import started
from commands.http.ledger_route import Command, LedgerRoute
from commands.http.problems import not_found
from commands.http.schema import also
from commands.http.served_site import Served, ServedSite
from commands.http.shapes import answer
from commands.shapes.jobs import CompareJob, RebuildJob
from commands.shapes.projections import Comparison, DifferenceShape, StandingList, StandingShape
from commands.upkeep.rebuild_projections import rebuild_projections
from projections.errors import ProjectionError, UnknownProjection
from projections.projector.comparison import differences
from projections.projector.standing import standing
from projections.tables.registry import projections_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.http.jobs import Job, Tell
    from ledger.append.ledger import Context

router = APIRouter(route_class=LedgerRoute, tags=["projections"])
SHOWN_DIFFERENCES = 1_000


@router.get(
    "/projections",
    operation_id="list_projections",
    response_model=StandingList,
    summary="The state of each read model",
)
def list_projections(_caller: Reader, served: Served) -> Response:
    site = served.site
    with suppress(ProjectionError):  # what stands there can be told all the same
        site.read_models.catch_up()
    found = standing(site.read_models.engine, site.ledger)
    return answer(StandingList(projections=[StandingShape.model_validate(each) for each in found]))


@router.post(
    "/projections/{name}/rebuild",
    operation_id="rebuild_projection",
    response_model=RebuildJob,
    status_code=202,
    summary="Fold one anew, as a job",
)
def rebuild(caller: Operator, context: Command, served: Served, name: str) -> Response:
    require_projection(name)
    work = rebuild_work(served, context, name)
    return started(served.jobs.start("rebuild", caller, work))


@router.post(
    "/projections/{name}/diff",
    operation_id="compare_projection",
    response_model=CompareJob,
    responses=also(409),
    status_code=202,
    summary="Compare one, as a job",
)
def diff(caller: Reader, served: Served, name: str) -> Response:
    require_projection(name)
    return started(served.jobs.start("diff", caller, diff_work(served, name)))


def rebuild_work(
    served: ServedSite, context: Context, name: str
) -> Callable[[Job, Tell], list[dict[str, Any]]]:
    """Folding a read model anew, as a job."""

    def work(_job: Job, tell: Tell) -> list[dict[str, Any]]:
        done = rebuild_projections(
            served.site, context, name, lambda done, total: tell("events", done, total)
        )
        return [each.to_facts() for each in done]

    return work


def diff_work(served: ServedSite, name: str) -> Callable[[Job, Tell], Comparison]:
    """Comparing a read model with the ledger, as a job."""

    def work(_job: Job, tell: Tell) -> Comparison:
        tell("folding", 0, 0)
        found = differences(served.site.read_models, served.site.ledger, name)
        return Comparison(
            ok=not found,
            count=len(found),
            differences=[DifferenceShape.of(each) for each in found[:SHOWN_DIFFERENCES]],
        )

    return work


def require_projection(name: str) -> None:
    """Make sure that there is such a read model.

    Raises:
        HTTPException: 404, there is none.
    """
    try:
        projections_named(name)
    except UnknownProjection as error:
        raise not_found(str(error)) from None
