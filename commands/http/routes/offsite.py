"""Off-site copies: where they stand, and making, verifying and collecting them as jobs.

No route takes an identity, a path or an address: only what is configured here is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from commands.http.callers import Anybody, Operator, Reader
from commands.http.jobs import started
from commands.http.ledger_route import Command, LedgerRoute, NoBody
from commands.http.routes.backups import own_backup
from commands.http.served_site import Served, ServedSite
from commands.http.shapes import answer
from commands.offsite.extra import require_extra
from commands.shapes.jobs import CheckCopiesJob, CollectJob, CopyJob
from commands.shapes.offsite import (
    CheckedCopies,
    CheckedCopyShape,
    CollectedShape,
    CopyShape,
    DestinationShape,
    FailedCopy,
    MadeCopies,
    MadeCopy,
    PlacedCopies,
    PlacedCopyShape,
    StatusList,
    StatusShape,
    WholeDestination,
)
from ledger.vocabulary import CopyLevel

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.http.jobs import Job, Tell
    from ledger.append.ledger import Context
    from projections.folds.offsite_destination import Destination

router = APIRouter(route_class=LedgerRoute, tags=["off-site"])
MAX_NAME = 63
MAX_PARTS = 1_000


class CheckInput(BaseModel):
    """How closely to look, and at which part; `due`: only what is due, each at its level."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"level": "digest", "part": 1, "parts": 7}}
    )

    level: CopyLevel = "listed"
    due: bool = False
    part: Annotated[int, Field(ge=1, le=MAX_PARTS)] = 1
    parts: Annotated[int, Field(ge=1, le=MAX_PARTS)] = 1

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.part > self.parts:
            raise ValueError("part is at most parts, such as 2 of 7")
        return self


class CollectInput(BaseModel):
    """`dry_run`: only say what would go."""

    model_config = ConfigDict(extra="forbid")

    dry_run: bool = False


@router.get(
    "/offsite",
    operation_id="list_destinations",
    response_model=StatusList,
    summary="The state of each destination",
)
def list_destinations(_caller: Reader, served: Served) -> Response:
    require_extra()
    from commands.offsite.status import destination_statuses  # noqa: PLC0415

    found = destination_statuses(served.site)
    return answer(StatusList(destinations=[StatusShape.of(each) for each in found]))


@router.get(
    "/offsite/{name}",
    operation_id="get_destination",
    response_model=WholeDestination,
    summary="One destination, and the copies that are there",
)
def show(_caller: Reader, served: Served, name: str) -> Response:
    destination = found_destination(served, name)
    from commands.offsite.status import destination_status  # noqa: PLC0415

    status = destination_status(served.site, destination)
    copies = [CopyShape.of(each) for each in (*status.copies, *status.corrupt)]
    shown = DestinationShape.of(destination).model_dump() | StatusShape.of(status).model_dump()
    return answer(WholeDestination(**shown | {"copies": copies}))


@router.get(
    "/backups/{filename}/copies",
    operation_id="list_copies",
    response_model=PlacedCopies,
    summary="The off-site copies of one backup",
)
def copies_of(caller: Anybody, served: Served, filename: str) -> Response:
    backup = own_backup(caller, served, filename)
    require_extra()
    from commands.offsite.status import placed_copies  # noqa: PLC0415

    found = placed_copies(served.site, backup)
    copies = [PlacedCopyShape.at(each) for each in found]
    if caller.user_id is not None:  # an address there may be a path here
        copies = [each.model_copy(update={"url": each.destination}) for each in copies]
    return answer(PlacedCopies(copies=copies))


@router.post(
    "/offsite/{name}/copy",
    operation_id="copy_to_destination",
    response_model=CopyJob,
    status_code=202,
    summary="Copy what is missing, as a job",
)
def copy(caller: Operator, context: Command, served: Served, name: str) -> Response:
    work = copy_work(served, context, found_destination(served, name))
    return started(served.jobs.start("offsite_copy", caller, work))


@router.post(
    "/offsite/{name}/verify",
    operation_id="verify_destination",
    response_model=CheckCopiesJob,
    status_code=202,
    summary="Check copies, as a job",
)
def verify(
    caller: Reader, context: Command, served: Served, name: str, body: CheckInput | NoBody = None
) -> Response:
    work = verify_work(served, context, found_destination(served, name), body or CheckInput())
    return started(served.jobs.start("offsite_verify", caller, work))


@router.post(
    "/offsite/{name}/collect",
    operation_id="collect_destination",
    response_model=CollectJob,
    status_code=202,
    summary="Delete what may go, as a job",
)
def collect(
    caller: Operator,
    context: Command,
    served: Served,
    name: str,
    body: CollectInput | NoBody = None,
) -> Response:
    dry_run = bool(body and body.dry_run)
    work = collect_work(served, context, found_destination(served, name), dry_run=dry_run)
    return started(served.jobs.start("offsite_collect", caller, work))


def copy_work(
    served: ServedSite, context: Context, destination: Destination
) -> Callable[[Job, Tell], MadeCopies]:
    """Copying as a job.

    Raises:
        DestinationConflict: this ledger may only read there.
    """
    from commands.offsite.copy_all import copy_missing  # noqa: PLC0415
    from commands.offsite.destinations import require_attached  # noqa: PLC0415

    require_attached(destination, destination.name)

    def work(_job: Job, tell: Tell) -> MadeCopies:
        outcomes = copy_missing(served.site, context, to=destination.name, on_progress=tell)
        return MadeCopies(
            copies=[MadeCopy.of(each.destination, each.copy) for each in outcomes if each.copy],
            failed=[
                FailedCopy(filename=each.backup.filename, problem=str(each.error))
                for each in outcomes
                if each.error is not None
            ],
        )

    return work


def collect_work(
    served: ServedSite, context: Context, destination: Destination, *, dry_run: bool
) -> Callable[[Job, Tell], CollectedShape]:
    """Deleting what retention lets go, as a job.

    Raises:
        DestinationConflict: this ledger may only read there.
    """
    from commands.offsite.deleting.collect import collect as collect_at  # noqa: PLC0415
    from commands.offsite.destinations import require_attached  # noqa: PLC0415
    from commands.offsite.publish import publish_if_behind  # noqa: PLC0415

    require_attached(destination, destination.name)

    def work(_job: Job, tell: Tell) -> CollectedShape:
        tell("looking", 0, 0)
        done = collect_at(served.site, context, destination, dry_run=dry_run)
        if done.claim is not None:
            publish_if_behind(served.site, destination)
        return CollectedShape.of(done, dry_run=dry_run)

    return work


def verify_work(
    served: ServedSite, context: Context, destination: Destination, wanted: CheckInput
) -> Callable[[Job, Tell], CheckedCopies]:
    """Checking copies as a job.

    Raises:
        NoIdentity: the level needs a key, and none is configured here.
    """
    from commands.offsite.keys import (  # noqa: PLC0415
        configured_identities,
        require_configured_identities,
    )
    from commands.offsite.verify import READS_CONTENT, verify_copies  # noqa: PLC0415
    from commands.offsite.watching.verify_due import verify_due  # noqa: PLC0415

    needs_key = wanted.level in READS_CONTENT and not wanted.due
    identities = (
        require_configured_identities(served.site, clear=destination.clear)
        if needs_key
        else configured_identities(served.site)
    )
    part = wanted.part, wanted.parts

    def work(_job: Job, tell: Tell) -> CheckedCopies:
        def on_progress(done: int, total: int) -> None:
            tell("due" if wanted.due else wanted.level, done, total)

        if wanted.due:
            found = verify_due(
                served.site,
                context,
                destination,
                identities=identities,
                part=part,
                on_progress=on_progress,
            )
        else:
            found = verify_copies(
                served.site,
                context,
                destination,
                wanted.level,
                identities=identities,
                part=part,
                on_progress=on_progress,
            )
        checked = [CheckedCopyShape.of(each) for each in found]
        return CheckedCopies(ok=all(each.ok for each in checked), copies=checked)

    return work


def found_destination(served: ServedSite, name: str) -> Destination:
    """The destination of a name; 404 where there is none."""
    require_extra()
    from commands.offsite.destinations import find_destination  # noqa: PLC0415

    return find_destination(served.site, name[:MAX_NAME])
