"""What is wrong, by cause, with what to do about it: the findings of `status` and the overview."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from commands.health.causes import Cause, causes_of_failures
from commands.http.callers import Anybody, Caller, Operator, Reader
from commands.http.console.overview_facts import (
    console_findings,
    overview_of_user,
    page_of_kind,
)
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.watching.advice import ADVICE, DEEDS, Deed
from commands.http.console.watching.job_outcome import backup_page
from commands.http.ledger_route import Command
from commands.http.routes.trouble import reconcile_work, run_now_work, verify_due_work
from commands.http.served_site import Served, ServedSite
from ledger.vocabulary import BackupStatus
from projections.queries.health import schedule_counts
from projections.queries.lists import BackupsWanted, Order, Wanted, backups_list

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from projections.folds.backup import Backup

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/trouble"
SHOWN = 8
STATUSES = {
    "corrupt": BackupStatus.CORRUPT,
    "missing": BackupStatus.MISSING,
    "deleting": BackupStatus.DELETING,
    "collapse": BackupStatus.OK,
    "warnings": BackupStatus.OK,
}
NAMED = ("corrupt", "missing", "deleting")
"""Kinds whose backups stand below, so that the heading need not name them."""
CONDITIONS = ("collapse", "warnings")
"""Kinds of findings whose backups are good: who made them may accept what they say."""


class Trouble(NamedTuple):
    """One thing that is wrong: what it is, what to do, and the buttons that do it.

    `backups`: the first few that it concerns. `causes`: of runs that failed.
    """

    kind: str
    text: str
    tone: str
    advice: str
    where: str | None = None
    deeds: tuple[Deed, ...] = ()
    backups: tuple[Backup, ...] = ()
    causes: tuple[Cause, ...] = ()


@router.get(PLACE)
def show(request: Request, caller: Anybody, served: Served) -> Response:
    now, site = served.site.clock.now(), served.site
    with site.read_models.reading() as connection:
        causes = [
            replace(each, message=served.shown_to(caller, each.message))
            for each in causes_of_failures(connection, now, caller.user_id)
        ]
    lasting = tuple(each for each in causes if not each.is_over)
    if caller.user_id is None:
        troubles, not_looked_at = _of_all(served, caller, lasting)
    else:
        troubles, not_looked_at = _of_user(served, caller, lasting), ()
    return page(
        request,
        caller,
        "trouble.html",
        now=now,
        troubles=troubles,
        over=[each for each in causes if each.is_over],
        not_looked_at=not_looked_at,
        backup_page=backup_page,
        verify=f"{BASE}/backups",
    )


@router.post(f"{PLACE}/run")
def run(caller: Operator, context: Command, served: Served) -> Response:
    work = run_now_work(served, context)
    return _started(served, caller, "run_now", work)


@router.post(f"{PLACE}/verify")
def verify(caller: Reader, context: Command, served: Served) -> Response:
    return _started(served, caller, "verify_due", verify_due_work(served, context))


@router.post(f"{PLACE}/reconcile")
def look_again(caller: Operator, context: Command, served: Served) -> Response:
    return _started(served, caller, "reconcile", reconcile_work(served, context))


def _of_all(
    served: ServedSite, caller: Caller, lasting: tuple[Cause, ...]
) -> tuple[list[Trouble], tuple[str, ...]]:
    troubles = []
    with served.site.read_models.reading(at_head=False) as connection:
        has_schedules = schedule_counts(connection, served.site.clock.now())["enabled"] > 0
        is_unserved = has_schedules and not served.is_scheduler_alive()
        for each in console_findings(served, is_unserved=is_unserved):
            deeds = DEEDS.get(each.kind, ())
            where = page_of_kind(each.kind)
            troubles.append(
                Trouble(
                    each.kind,
                    each.text.partition(":")[0] if each.kind in NAMED else each.text,
                    "bad" if each.is_bad else "warn",
                    ADVICE.get(each.kind, ""),
                    where,
                    tuple(deed for deed in deeds if caller.role in deed.roles),
                    tuple(_concerned(served, connection, each.kind)),
                    lasting if each.kind == "failing" else (),
                )
            )
    return troubles, served.recent_verdict().not_looked_at


def _of_user(served: ServedSite, caller: Caller, lasting: tuple[Cause, ...]) -> list[Trouble]:
    """What the overview says to a user, with the user's own damaged backups."""
    assert caller.user_id is not None  # it is the role user
    overview = overview_of_user(served, caller.user_id, served.site.clock.now())
    with served.site.read_models.reading(at_head=False) as connection:
        damaged = _newest(served, connection, BackupStatus.CORRUPT, [caller.user_id])
    troubles = []
    for each in overview.warnings:
        tone = "bad" if each.bad else "warn"
        if damaged and each.text.endswith("damaged"):
            advice = ADVICE["corrupt"]
            found = Trouble("corrupt", each.text, tone, advice, each.where, (), tuple(damaged))
        elif lasting and each.where == f"{BASE}/runs":
            found = Trouble("failing", each.text, tone, ADVICE["own"], each.where, causes=lasting)
        else:
            found = Trouble("own", each.text, tone, "", each.where)
        troubles.append(found)
    return troubles


def _concerned(served: ServedSite, connection: Connection, kind: str) -> list[Backup]:
    """The first few backups that a finding is about, newest first."""
    if kind not in STATUSES or not served.site.has_store:
        return []
    limit = SHOWN if kind not in CONDITIONS else 10 * SHOWN
    found = _newest(served, connection, STATUSES[kind], None, limit)
    if kind == "collapse":
        found = [each for each in found if each.is_collapse]
    if kind == "warnings":
        found = [each for each in found if each.warnings and not each.accepted_at]
    return found[:SHOWN]


def _newest(
    served: ServedSite,
    connection: Connection,
    status: BackupStatus,
    user_ids: list[int] | None,
    limit: int = SHOWN,
) -> list[Backup]:
    which = BackupsWanted(served.site.store.store_id, (status,), user_ids)
    return backups_list(connection, which, Wanted(Order("made", is_falling=True), limit=limit))


def _started(served: ServedSite, caller: Caller, kind: str, work: object) -> Response:
    job = served.jobs.start(kind, caller, work)  # type: ignore[arg-type]
    return RedirectResponse(f"{BASE}/jobs/{job.job_id}", 303)
