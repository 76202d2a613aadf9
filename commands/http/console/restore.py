"""Restoring: a plan, a typed confirmation, and then a job that is watched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from commands.http.callers import Caller, Operator
from commands.http.console.backups import PLACE
from commands.http.console.job import job_page
from commands.http.console.page import page
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import Here
from commands.http.ledger_route import Command
from commands.http.routes.backups import own_backup
from commands.http.routes.restoring import restore_work
from commands.http.served_site import Served, ServedSite
from commands.restore.plan import plan_restore

if TYPE_CHECKING:
    from commands.restore.plan import RestorePlan

router = APIRouter(route_class=ConsoleRoute)
WHY_REPLACED = {
    "cipher": "one of the two is encrypted, and the other is not",
    "missing": "the database is missing",
    "damaged": "SQLite cannot read what is there",
}


@router.get(f"{PLACE}/{{filename}}/restore")
def ask(request: Request, caller: Operator, served: Served, filename: str) -> Response:
    return _plan_page(request, caller, served, filename)


@router.post(f"{PLACE}/{{filename}}/restore")
def restore(
    request: Request,
    caller: Operator,
    context: Command,
    served: Served,
    filename: str,
    visit: Here,
) -> Response:
    own_backup(caller, served, filename, context)
    if visit.form.get("confirmation") != filename:
        told = f"type the name {filename!r} to restore it; nothing was done"
        return _plan_page(request, caller, served, filename, told, status=422)
    work = restore_work(served, context, filename, force=bool(visit.form.get("force")))
    return RedirectResponse(job_page(served.jobs.start("restore", caller, work)), 303)


def _plan_page(
    request: Request,
    caller: Caller,
    served: ServedSite,
    filename: str,
    problem: str | None = None,
    status: int = 200,
) -> Response:
    own_backup(caller, served, filename)
    plan = plan_restore(served.site, filename)
    return page(
        request,
        caller,
        "restore.html",
        status,
        plan=plan,
        backup=plan.backup,
        steps=_steps(plan),
        problem=problem,
    )


def _steps(plan: RestorePlan) -> list[str]:
    """What will happen, in order."""
    steps: list[Any] = [
        "The backup's bytes are compared with what was recorded when it was made.",
    ]
    if plan.keeps_current:
        steps.append(
            "What the database holds now is kept first, as a protected backup: "
            "restoring that one undoes this."
        )
    if plan.mode == "transaction":
        steps.append(
            "The content is put into the database in one transaction: whoever has it open sees "
            "the old content or the new one, and never half of it."
        )
    else:
        why = WHY_REPLACED.get(plan.reason or "", plan.reason)
        steps.append(
            f"A new file takes the place of {plan.target} in one step, as a transaction is not "
            f"possible ({why}). Programs that have the old file open must open it again."
        )
    if plan.erased_since:
        steps.append(f"{plan.erased_since}.")
    steps.append("What happened is recorded in the ledger, which a restore never rolls back.")
    return steps
