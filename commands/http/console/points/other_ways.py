"""A backup's content other than by a whole restore: single tables, a new file, a download."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any, get_args

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from commands.errors import CommandError, InvalidArgument
from commands.http.callers import Operator
from commands.http.comparisons import plan_tables_work, restore_tables_work
from commands.http.console.backups import PLACE
from commands.http.console.job import job_page
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import Here
from commands.http.ledger_route import Command
from commands.http.routes.backups import own_backup
from commands.http.routes.downloads import offered_download
from commands.http.served_site import Served
from commands.restore.difference import tables_of
from commands.restore.plan import plan_restore
from commands.restore.restore import restore_backup
from commands.restore.tables import TablesWanted
from commands.sqlite.connections import open_immutable
from commands.sqlite.errors import SQLiteFileError
from ledger.vocabulary import TableMode
from projections.folds.backup_names import person_backup_name

if TYPE_CHECKING:
    from commands.http.callers import Caller
    from commands.http.jobs import Job, Tell
    from commands.http.served_site import ServedSite
    from projections.folds.backup import Backup

router = APIRouter(route_class=ConsoleRoute)
MODES: dict[TableMode, str] = {
    "in_place": "put the backup's rows in place; rows added since stay",
    "exact": "make the table equal to the backup's; rows added since go",
    "beside": "write a new table beside the others",
}


@router.get(f"{PLACE}/{{filename}}/tables")
def ask(
    request: Request,
    caller: Operator,
    served: Served,
    filename: str,
    table: Annotated[str, Query(max_length=300)] = "",
) -> Response:
    return _tables_page(request, caller, served, filename, {"table": table, "mode": "in_place"})


@router.post(f"{PLACE}/{{filename}}/tables")
def put_back(
    request: Request,
    caller: Operator,
    context: Command,
    served: Served,
    filename: str,
    visit: Here,
) -> Response:
    """Without a confirmation: count what would change. With the table's name: do it."""
    own_backup(caller, served, filename, context)
    form = {name: visit.form.get(name, "") for name in ("table", "mode", "confirmation")}
    try:
        wanted = TablesWanted((form["table"],), _mode(form["mode"]))
        if "confirmation" not in visit.form:
            work = plan_tables_work(served, filename, wanted)
            return RedirectResponse(job_page(served.jobs.start("plan_tables", caller, work)), 303)
        if form["confirmation"] != form["table"]:
            raise InvalidArgument(f"type the name {form['table']!r}; nothing was done")
    except (CommandError, ValueError) as error:
        return _tables_page(request, caller, served, filename, form, str(error))
    doing = restore_tables_work(served, context, filename, wanted)
    return RedirectResponse(job_page(served.jobs.start("restore_tables", caller, doing)), 303)


@router.post(f"{PLACE}/{{filename}}/beside")
def beside(
    caller: Operator, context: Command, served: Served, filename: str, visit: Here
) -> Response:
    """Into a new file in the database's folder; never over another one."""
    own_backup(caller, served, filename, context)
    name = person_backup_name(visit.form.get("filename", ""))
    target = served.site.database.parent / name
    plan_restore(served.site, filename, target)

    def work(_job: Job, tell: Tell) -> dict[str, Any]:
        restore_backup(served.site, context, filename, to=target, on_progress=tell)
        text = f"{filename} was restored into {target}. The database is as it was."
        return {"ok": True, "message": text}

    return RedirectResponse(job_page(served.jobs.start("restore_beside", caller, work)), 303)


@router.post(f"{PLACE}/{{filename}}/download")
def download(caller: Operator, context: Command, served: Served, filename: str) -> Response:
    """Recorded; the browser is sent to an address that gives the file once."""
    _backup, offered = offered_download(served, context, caller, filename)
    return RedirectResponse(f"{BASE}/api/downloads/{offered.download_id}", 303)


def _tables_page(
    request: Request,
    caller: Caller,
    served: ServedSite,
    filename: str,
    filled: dict[str, str],
    problem: str | None = None,
) -> Response:
    backup = own_backup(caller, served, filename)
    return page(
        request,
        caller,
        "tables.html",
        422 if problem else 200,
        backup=backup,
        tables=_tables(served, backup),
        modes=MODES,
        filled=filled,
        problem=problem,
    )


def _tables(served: ServedSite, backup: Backup) -> list[str]:
    """The names of a backup's tables; none where it cannot be read, which trying says."""
    path = served.site.store.path(backup.filename)
    try:
        with closing(open_immutable(path, served.site.keys_for(backup.cipher))) as connection:
            return tables_of(connection, "main")
    except (SQLiteFileError, sqlite3.Error):
        return []


def _mode(text: str) -> TableMode:
    mode = next((each for each in get_args(TableMode) if each == text), None)
    if mode is None:
        raise InvalidArgument(f"there is no way {text[:20]!r}; give {', '.join(MODES)}")
    return mode  # type: ignore[no-any-return]
