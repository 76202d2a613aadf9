"""A job's page: how far it is, how long it has taken, and what it came to."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from commands.http.callers import Anybody
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.watching.job_outcome import (
    SHOWN_APART,
    kind_of,
    outcome_of,
    rows_of,
)
from commands.http.console.watching.work import work_of_job
from commands.http.problems import not_found
from commands.http.served_site import Served
from commands.reporting.humanize import duration

if TYPE_CHECKING:
    from commands.http.jobs import Job

router = APIRouter(route_class=ConsoleRoute)


def job_page(job: Job) -> str:
    """Where a job is watched."""
    return f"{BASE}/jobs/{job.job_id}"


@router.get(f"{BASE}/jobs/{{job_id}}")
def show(request: Request, caller: Anybody, served: Served, job_id: str) -> Response:
    found = served.jobs.find(job_id, caller)
    if found is None:
        raise not_found(f"there is no job {job_id[:100]!r}; jobs end with the process they ran in")
    job = copy(found)  # it goes on while the page is made
    return page(
        request,
        caller,
        "job.html",
        job=job,
        kind=kind_of(job),
        under=kind_of(job).back,
        work=work_of_job(job),
        took=None if job.ended_at is None else duration(job.ended_at - job.created_at),
        outcome=outcome_of(job, caller),
        apart=SHOWN_APART.get(job.kind) if job.state == "done" else None,
        result_rows=rows_of(job),
    )
