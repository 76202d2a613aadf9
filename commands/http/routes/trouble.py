"""What is not all right, why runs failed, and the jobs that mend what can be mended from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Response

from commands.health.causes import causes_of_failures
from commands.http.callers import Operator, Reader
from commands.http.jobs import started
from commands.http.ledger_route import Command, LedgerRoute
from commands.http.served_site import Served, ServedSite
from commands.http.shapes import answer
from commands.recovery.reconcile import reconcile
from commands.runs.run_now import run_now
from commands.shapes.jobs import ReconcileJob, RunNowJob, VerifyDueJob
from commands.shapes.trouble import (
    BadBackup,
    CauseShape,
    DueVerified,
    RanNowShape,
    ReconciledShape,
    TroubleShape,
)
from commands.verification.daily_drills import due_backups
from commands.verification.verify import verify_backups

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.http.jobs import Job, Tell
    from ledger.append.ledger import Context

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


@router.post(
    "/trouble/run",
    operation_id="run_now",
    response_model=RunNowJob,
    status_code=202,
    summary="Run what is overdue or waits for its retry, as a job",
)
def run(caller: Operator, context: Command, served: Served) -> Response:
    return started(served.jobs.start("run_now", caller, run_now_work(served, context)))


@router.post(
    "/trouble/verify",
    operation_id="verify_due",
    response_model=VerifyDueJob,
    status_code=202,
    summary="Verify the backups that are due, as a job",
)
def verify(caller: Reader, context: Command, served: Served) -> Response:
    return started(served.jobs.start("verify_due", caller, verify_due_work(served, context)))


@router.post(
    "/trouble/reconcile",
    operation_id="reconcile",
    response_model=ReconcileJob,
    status_code=202,
    summary="Compare the folder with the catalog and record what differs, as a job",
)
def look_again(caller: Operator, context: Command, served: Served) -> Response:
    return started(served.jobs.start("reconcile", caller, reconcile_work(served, context)))


def run_now_work(served: ServedSite, context: Context) -> Callable[[Job, Tell], RanNowShape]:
    """Running what waits, as a job."""

    def work(_job: Job, tell: Tell) -> RanNowShape:
        return RanNowShape.model_validate(run_now(served.site, context, tell))

    return work


def verify_due_work(served: ServedSite, context: Context) -> Callable[[Job, Tell], DueVerified]:
    """Verifying what is due, as a job."""

    def work(_job: Job, tell: Tell) -> DueVerified:
        good, bad = 0, []
        for level, backups in due_backups(served.site, context.now):
            for each in verify_backups(
                served.site, context, backups, level, trigger="due", on_progress=tell
            ):
                if each.is_good:
                    good += 1
                else:
                    problem = each.problem or each.failure
                    bad.append(BadBackup(filename=each.backup.filename, problem=problem))
        return DueVerified(ok=not bad, good=good, bad=bad)

    return work


def reconcile_work(served: ServedSite, context: Context) -> Callable[[Job, Tell], ReconciledShape]:
    """Making catalog and folder agree, as a job."""

    def work(_job: Job, tell: Tell) -> ReconciledShape:
        done = reconcile(served.site, context, lambda number, total: tell("files", number, total))
        return ReconciledShape.model_validate(done)

    return work
