"""What is not all right, and why runs failed: the verdict of `status`, and causes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response

from commands.health.causes import causes_of_failures
from commands.http.callers import Operator, Reader
from commands.http.jobs import started
from commands.http.ledger_route import Command, LedgerRoute
from commands.http.served_site import Served, ServedSite
from commands.http.shapes import answer
from commands.recovery.reconcile import reconcile
from commands.runs.run_now import run_now
from commands.verification.daily_drills import due_backups
from commands.verification.verify import verify_backups

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.http.jobs import Job, Tell
    from ledger.append.ledger import Context

router = APIRouter(route_class=LedgerRoute, tags=["trouble"])


@router.get("/trouble", summary="What needs attention, and the causes of failed runs")
def show(_caller: Reader, served: Served) -> Response:
    """`causes`: failed runs of the last thirty days, those that still fail first."""
    with served.site.read_models.reading() as connection:
        causes = causes_of_failures(connection, served.site.clock.now())
    verdict = served.recent_verdict()
    return answer(verdict.as_json() | {"causes": [each.as_json() for each in causes]})


@router.post("/trouble/run", status_code=202, summary="Run what waits or is overdue, as a job")
def run(caller: Operator, context: Command, served: Served) -> Response:
    work = run_now_work(served, context)
    return started(served.jobs.start("run_now", caller, work))


@router.post("/trouble/verify", status_code=202, summary="Verify what is due, as a job")
def verify(caller: Reader, context: Command, served: Served) -> Response:
    work = verify_due_work(served, context)
    return started(served.jobs.start("verify_due", caller, work))


@router.post("/trouble/reconcile", status_code=202, summary="Compare folder and catalog, as a job")
def look_again(caller: Operator, context: Command, served: Served) -> Response:
    work = reconcile_work(served, context)
    return started(served.jobs.start("reconcile", caller, work))


def run_now_work(served: ServedSite, context: Context) -> Callable[[Job, Tell], dict[str, Any]]:
    """Running what waits, as a job."""

    def work(_job: Job, tell: Tell) -> dict[str, Any]:
        done = run_now(served.site, context, tell)
        return {
            "completed": done.completed,
            "failed": done.failed,
            "taken": done.taken,
            "left": done.left,
            "problem": done.problem,
        }

    return work


def verify_due_work(served: ServedSite, context: Context) -> Callable[[Job, Tell], dict[str, Any]]:
    """Verifying what is due, as a job; `bad`: name and problem of each that is not good."""

    def work(_job: Job, tell: Tell) -> dict[str, Any]:
        good, bad = 0, []
        for level, backups in due_backups(served.site, context.now):
            for each in verify_backups(
                served.site, context, backups, level, trigger="due", on_progress=tell
            ):
                if each.is_good:
                    good += 1
                else:
                    problem = each.problem or each.failure
                    bad.append({"filename": each.backup.filename, "problem": problem})
        return {"ok": not bad, "good": good, "bad": bad}

    return work


def reconcile_work(served: ServedSite, context: Context) -> Callable[[Job, Tell], dict[str, Any]]:
    """Making catalog and folder agree, as a job; file names."""

    def work(_job: Job, tell: Tell) -> dict[str, Any]:
        done = reconcile(served.site, context, lambda number, total: tell("files", number, total))
        return {
            "adopted": done.adopted,
            "missing": done.missing,
            "back": done.back,
            "left_alone": done.left_alone,
        }

    return work
