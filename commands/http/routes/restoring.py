"""Restoring over HTTP: from a backup's own file, or from an off-site copy.

An identity is never taken from a request: only the configured one is used (`offsite_identity`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from commands.backups.find import find_backup
from commands.http.callers import Operator, Reader
from commands.http.jobs import started
from commands.http.ledger_route import FORMER, Command, LedgerRoute, NoBody
from commands.http.routes.backups import MAX_NAME
from commands.http.schema import also
from commands.http.served_site import Served, ServedSite
from commands.http.shapes import answer
from commands.offsite.extra import require_extra
from commands.recovery.reconcile import reconcile
from commands.restore.plan import plan_restore
from commands.restore.restore import restore_backup
from commands.shapes.backups import BackupMetadataResponse
from commands.shapes.jobs import RestoreJob
from commands.shapes.restore import PlanShape, RestoredShape, RestoreResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.http.jobs import Job, Tell
    from commands.restore.restore import RestoreOutcome
    from ledger.append.ledger import Context

router = APIRouter(route_class=LedgerRoute, tags=["backups"])
Source = Annotated[str | None, Field(alias="from", max_length=MAX_NAME)]
"""The destination whose off-site copy is restored; the backup's own file without it."""


class RestoreInput(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {"backup_filename": "before.db"}})

    backup_filename: Annotated[str, Field(max_length=MAX_NAME)]
    force: bool = False
    """Even a backup of another database."""
    source: Source = None


class RestoreWanted(BaseModel):
    """`force`: even a backup of another database. `from`: a destination of off-site copies."""

    model_config = ConfigDict(extra="forbid")

    force: bool = False
    source: Source = None


@router.get(
    "/backups/{filename}/restore",
    operation_id="get_restore_plan",
    response_model=PlanShape,
    summary="What a restore would do",
)
def plan(_caller: Reader, served: Served, filename: str) -> Response:
    return answer(PlanShape.of(plan_restore(served.site, filename)))


@router.post(
    "/backups/{filename}/restore",
    operation_id="start_restore",
    response_model=RestoreJob,
    status_code=202,
    summary="Restore one, as a job",
)
def restore_later(
    caller: Operator,
    context: Command,
    served: Served,
    filename: str,
    body: RestoreWanted | NoBody = None,
) -> Response:
    wanted = body or RestoreWanted()
    if wanted.source is None:
        find_backup(served.site, filename)
    work = restore_work(served, context, filename, force=wanted.force, source=wanted.source)
    return started(served.jobs.start("restore", caller, work))


@router.post(
    "/restore",
    operation_id="restore_backup",
    response_model=RestoredShape,
    responses=also(403, 404, 507),
    summary="Restore one, and wait for it",
    openapi_extra=FORMER,
)
def restore(_caller: Operator, context: Command, served: Served, body: RestoreInput) -> Response:
    if body.source is not None:
        work = fetch_work(served, context, body.backup_filename, body.source, force=body.force)
        return answer(_restored(served, work(None)))
    reconcile(served.site, context)
    done = restore_backup(served.site, context, body.backup_filename, force=body.force)
    return answer(_restored(served, done))


def restore_work(
    served: ServedSite,
    context: Context,
    filename: str,
    *,
    force: bool,
    source: str | None = None,
) -> Callable[[Job, Tell], RestoreResult]:
    """A restore as a job; what cannot be is said before it begins."""
    fetching = (
        None if source is None else fetch_work(served, context, filename, source, force=force)
    )

    def work(_job: Job, tell: Tell) -> RestoreResult:
        if fetching is None:
            done = restore_backup(served.site, context, filename, force=force, on_progress=tell)
        else:
            done = fetching(tell)
        planned, restored = PlanShape.of(done.plan), _restored(served, done)
        return RestoreResult(**planned.model_dump(), **restored.model_dump())

    return work


def fetch_work(
    served: ServedSite, context: Context, filename: str, source: str, *, force: bool
) -> Callable[[Tell | None], RestoreOutcome]:
    """Restoring the copy that is at a destination.

    Raises:
        NoIdentity: it is encrypted, and no identity is configured here.
        DestinationUnknown, BackupNotFound, CopyUnknown: there is none.
    """
    require_extra()
    from commands.offsite.destinations import find_destination  # noqa: PLC0415
    from commands.offsite.keys import require_configured_identities  # noqa: PLC0415
    from commands.restore.from_copy import find_copied, restore_from_copy  # noqa: PLC0415

    destination = find_destination(served.site, source)
    find_copied(served.site, filename, source)
    identities = require_configured_identities(served.site, clear=destination.clear)

    def work(tell: Tell | None) -> RestoreOutcome:
        return restore_from_copy(
            served.site,
            context,
            filename,
            destination=source,
            identities=identities,
            force=force,
            on_progress=tell,
        )

    return work


def _restored(served: ServedSite, done: RestoreOutcome) -> RestoredShape:
    kept, since = done.pre_restore, done.plan.erased_since
    shown = None if kept is None else BackupMetadataResponse.of(kept, served.site.store)
    message = f"The database was restored from {done.plan.backup.filename}"
    return RestoredShape(
        restored=True,
        message=message if since is None else f"{message}. {since}",
        pre_restore_backup=shown,
    )
