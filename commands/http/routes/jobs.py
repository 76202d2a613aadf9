"""Jobs: what was started, how far it is, what it came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Response
from starlette.responses import FileResponse

from commands.http.callers import Anybody, Caller
from commands.http.ledger_route import LedgerRoute
from commands.http.problems import not_found
from commands.http.schema import BYTES, FILE
from commands.http.served_site import Served, ServedSite
from commands.http.shapes import JOB, answer
from commands.shapes.jobs import AnyJob, JobList

if TYPE_CHECKING:
    from commands.http.jobs import Job

router = APIRouter(route_class=LedgerRoute, tags=["jobs"])


@router.get(
    "/jobs",
    operation_id="list_jobs",
    response_model=JobList,
    summary="Jobs of this process, newest first",
)
def list_jobs(caller: Anybody, served: Served) -> Response:
    return answer({"jobs": [each.shape() for each in served.jobs.of(caller)]})


@router.get(
    "/jobs/{job_id}", operation_id="get_job", response_model=AnyJob, summary="One job", name=JOB
)
def show(caller: Anybody, served: Served, job_id: str) -> Response:
    return answer(_found(caller, served, job_id).shape())


@router.get(
    "/jobs/{job_id}/file",
    operation_id="get_job_file",
    responses=FILE,
    summary="What a job made",
    response_class=FileResponse,
)
def fetch(caller: Anybody, served: Served, job_id: str) -> Response:
    job = _found(caller, served, job_id)
    if job.file is None or not job.file.exists():
        raise not_found(f"job {job.job_id} has no file (yet)")
    name = job.file.name.partition("-")[2]
    return FileResponse(job.file, filename=name, media_type=BYTES)


def _found(caller: Caller, served: ServedSite, job_id: str) -> Job:
    found = served.jobs.find(job_id, caller)
    if found is None:
        raise not_found(f"there is no job {job_id[:100]!r}; jobs end with the process they ran in")
    return found
