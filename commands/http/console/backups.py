"""Backups: why each is kept and when it will go; hold, verify, delete, take one now."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.responses import RedirectResponse

from commands.backups.accept import accept_backup, can_be_accepted
from commands.backups.delete import delete_backup
from commands.backups.hold import may_release, place_hold, release_holds
from commands.http.callers import Anybody, Caller, Operator, Writer
from commands.http.console.backup_story import damage_of, deleted_page, former_backups
from commands.http.console.job import job_page
from commands.http.console.offsite import copies_shown
from commands.http.console.page import BASE, done, page
from commands.http.console.retention_outlook import fates_of
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import Here
from commands.http.ledger_route import Command
from commands.http.routes.backups import BackupInput, own_backup, take_work
from commands.http.served_site import Served, ServedSite
from commands.reporting.humanize import parse_moment
from commands.shapes.verification import VerificationShape
from commands.verification.verify import verify_backup
from ledger.clock import parse_instant

if TYPE_CHECKING:
    from commands.http.jobs import Job, Tell

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/backups"
LEVELS = {
    "exists": "the file exists",
    "digest": "its bytes match",
    "integrity": "SQLite checks it, too",
    "drill": "restored as a test",
}


@router.post(PLACE)
def take(caller: Writer, context: Command, served: Served, visit: Here) -> Response:
    form = visit.form
    wanted = BackupInput(
        filename=form.get("filename") or None,
        user_id=_user_number(form["user"]) if form.get("user") else None,
        pre_migration=bool(form.get("protect")),
    )
    work = take_work(served, context, caller, wanted)
    return RedirectResponse(job_page(served.jobs.start("take_backup", caller, work)), 303)


@router.get(f"{PLACE}/{{filename}}")
def show(request: Request, caller: Anybody, served: Served, filename: str) -> Response:
    try:
        return _details(request, caller, served, filename)
    except HTTPException as error:
        is_gone = error.status_code == HTTPStatus.NOT_FOUND
        ended = deleted_page(request, caller, served, filename) if is_gone else None
        if ended is None:
            raise
        return ended


@router.post(f"{PLACE}/{{filename}}/hold")
def hold(
    request: Request,
    caller: Writer,
    context: Command,
    served: Served,
    filename: str,
    visit: Here,
) -> Response:
    own_backup(caller, served, filename, context)
    form = visit.form
    try:
        until = parse_moment(form["until"]) if form.get("until") else None
        place_hold(served.site, context, filename, form.get("reason", ""), until)
    except ValueError as error:
        return _details(request, caller, served, filename, str(error), status=422)
    return done(request, address_of(filename), "It is held: nobody can delete it now.")


@router.post(f"{PLACE}/{{filename}}/accept")
def accept(
    request: Request,
    _caller: Operator,
    context: Command,
    served: Served,
    filename: str,
    visit: Here,
) -> Response:
    accept_backup(served.site, context, filename, visit.form.get("reason") or None)
    return done(request, address_of(filename), "It is accepted as it is.")


@router.post(f"{PLACE}/{{filename}}/release")
def release(
    request: Request, caller: Writer, context: Command, served: Served, filename: str
) -> Response:
    own_backup(caller, served, filename, context)
    number = release_holds(served.site, context, filename)
    told = "There was nothing to release." if not number else "Released; retention applies again."
    return done(request, address_of(filename), told)


@router.post(f"{PLACE}/{{filename}}/verify")
def verify(
    caller: Anybody, context: Command, served: Served, filename: str, visit: Here
) -> Response:
    backup = own_backup(caller, served, filename, context)
    level = visit.form.get("level", "integrity")
    if level not in LEVELS:
        raise HTTPException(422, f"{level[:40]!r} is not a level; give one of {', '.join(LEVELS)}")

    def work(_job: Job, tell: Tell) -> VerificationShape:
        found = verify_backup(served.site, context, backup, level, on_progress=tell)  # type: ignore[arg-type]
        return VerificationShape.of(found)

    return RedirectResponse(job_page(served.jobs.start("verify_backup", caller, work)), 303)


@router.post(f"{PLACE}/{{filename}}/delete")
def delete(
    request: Request,
    caller: Writer,
    context: Command,
    served: Served,
    filename: str,
    visit: Here,
) -> Response:
    own_backup(caller, served, filename, context)
    if visit.form.get("confirmation") != filename:
        told = f"type the name {filename!r} to delete it; nothing was done"
        return _details(request, caller, served, filename, told, status=422)
    delete_backup(served.site, context, filename, force=bool(visit.form.get("force")))
    return done(request, PLACE, f"{filename} was deleted.")


def address_of(filename: str) -> str:
    """A backup's page."""
    return f"{PLACE}/{quote(filename, safe='')}"


def _details(
    request: Request,
    caller: Caller,
    served: ServedSite,
    filename: str,
    problem: str | None = None,
    status: int = 200,
) -> Response:
    backup = own_backup(caller, served, filename)
    now = served.site.clock.now()
    return page(
        request,
        caller,
        "backup.html",
        status,
        now=now,
        backup=backup,
        fate=fates_of(served, [backup]).get(backup.backup_id),
        holds=[
            (each["reason"], None if each["until"] is None else parse_instant(each["until"]))
            for each in backup.holds_at(now)
        ],
        may_release=any(may_release(each, caller.actor) for each in backup.holds_at(now)),
        levels=LEVELS,
        copies=copies_shown(served, backup),
        damage=damage_of(served, caller, backup),
        former=former_backups(served, caller, filename),
        problem=problem,
        may_change=caller.role != "auditor",
        may_restore=caller.role == "operator",
        may_accept=caller.role == "operator" and can_be_accepted(backup),
    )


def _user_number(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
        raise HTTPException(422, "give the number of a user, or nothing")
    return int(text)
