"""Backups: as the former service answered, and what else can be done with one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from commands.backups.accept import accept_backup
from commands.backups.delete import delete_backup
from commands.backups.find import find_backup
from commands.backups.hold import place_hold, release_holds
from commands.backups.take import take_backup
from commands.backups.unrecorded import (
    UnrecordedFile,
    unrecorded_file,
    unrecorded_files,
    without_gone,
)
from commands.errors import BackupNotFound
from commands.http.callers import Anybody, Caller, Operator, Writer
from commands.http.jobs import started
from commands.http.ledger_route import FORMER, Command, LedgerRoute, NoBody
from commands.http.limits import require_room_for_backup
from commands.http.problems import not_found
from commands.http.routes.backup_filter import Filter
from commands.http.schema import also
from commands.http.served_site import Served, ServedSite
from commands.http.shapes import BACKUP, Located, answer, in_megabytes
from commands.recovery.reconcile import reconcile
from commands.schedules.settings import require_known_user
from commands.shapes.backups import (
    AcceptedBackup,
    BackupList,
    BackupMetadataResponse,
    BackupShape,
    CreatedBackup,
    DeletedAnswer,
    HeldBackup,
    ReleasedBackup,
    WholeBackupList,
)
from commands.shapes.jobs import TakeBackupJob, VerifyBackupJob
from commands.shapes.verification import VerificationShape
from commands.verification.verify import verify_backup
from ledger.vocabulary import MAX_USER_ID, BackupKind, Level
from projections.folds.backup import Backup
from projections.folds.backup_names import person_backup_name
from projections.queries.catalog import PRESENT, backups_of_owner, backups_of_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.http.jobs import Job, Tell
    from ledger.append.ledger import Context

router = APIRouter(route_class=LedgerRoute, tags=["backups"])
MAX_NAME = 1000
Shown = TypeVar("Shown", BackupShape, BackupMetadataResponse)


class BackupInput(BaseModel):
    """How the backup is to be called, and whose it is; nothing is needed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"filename": "before"}})

    filename: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    user_id: Annotated[int, Field(ge=1, le=MAX_USER_ID)] | None = None
    pre_migration: bool = False


class HoldInput(BaseModel):
    """Why it is kept, and until when: a time with its zone, or for good."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"reason": "audit 2025", "until": None}}
    )

    reason: Annotated[str, Field(max_length=4096)]
    until: AwareDatetime | None = None


class AcceptInput(BaseModel):
    """Why the database holds less, or why its findings are not trouble; nothing is needed."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"reason": "the archive was moved"}}
    )

    reason: Annotated[str, Field(max_length=4096)] | None = None


class LevelInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    level: Level = "integrity"


@router.post(
    "/backup",
    operation_id="create_backup",
    response_model=CreatedBackup,
    responses=also(403, 409, 507),
    status_code=201,
    summary="Take a verified backup now",
    openapi_extra=FORMER,
)
def create(
    caller: Writer, context: Command, served: Served, body: BackupInput | NoBody = None
) -> Response:
    made = take_work(served, context, caller, body or BackupInput())(None, None)
    return Located(made, 201, BACKUP, filename=made.filename)


@router.post(
    "/backups",
    operation_id="take_backup",
    response_model=TakeBackupJob,
    responses=also(403, 409),
    status_code=202,
    summary="Take a verified backup, as a job",
)
def create_later(
    caller: Writer, context: Command, served: Served, body: BackupInput | NoBody = None
) -> Response:
    """The job's result is what `POST /backup` answers."""
    work = take_work(served, context, caller, body or BackupInput())
    return started(served.jobs.start("take_backup", caller, work))


@router.get(
    "/backups",
    operation_id="list_backups",
    response_model=WholeBackupList | BackupList,
    summary="What is there, newest first; also files not recorded yet",
    openapi_extra=FORMER,
)
def list_backups(
    caller: Anybody,
    served: Served,
    wanted: Filter,
    everything: Annotated[
        bool, Query(alias="all", description="Deleted and missing ones too, with all columns.")
    ] = False,
) -> Response:
    """Without `all` and `status`: what is there."""
    site = served.site
    is_any = everything or wanted.status is not None
    with site.read_models.reading() as connection:
        if caller.user_id is not None and not is_any:
            found = backups_of_owner(connection, site.store.store_id, caller.user_id)
        else:
            statuses = None if is_any else PRESENT
            found = backups_of_store(connection, site.store.store_id, statuses)
    if not is_any:
        found, _gone = without_gone(site, found)
    found = [each for each in found if caller.owns(each.user_id) and wanted.takes(each)]
    files = [
        each for each in unrecorded_files(site) if caller.owns(each.user_id) and wanted.takes(each)
    ]
    if everything:
        whole = [BackupShape.of(site, each) for each in found]
        whole += [BackupShape.of_unrecorded(each) for each in files]
        return answer(WholeBackupList(backups=_newest_first(caller, whole), count=len(whole)))
    shown = [BackupMetadataResponse.of(each, site.store) for each in found]
    shown += [BackupMetadataResponse.of_unrecorded(each) for each in files]
    return answer(BackupList(backups=_newest_first(caller, shown), count=len(shown)))


@router.get(
    "/backups/{filename}",
    operation_id="get_backup",
    response_model=BackupMetadataResponse,
    summary="One backup",
    name=BACKUP,
    openapi_extra=FORMER,
)
def show(caller: Anybody, served: Served, filename: str) -> Response:
    file = own_unrecorded(caller, served, filename)
    if file is not None:
        return answer(for_caller(caller, BackupMetadataResponse.of_unrecorded(file)))
    backup = own_backup(caller, served, filename)
    return answer(for_caller(caller, BackupMetadataResponse.of(backup, served.site.store)))


@router.get(
    "/backups/{filename}/details",
    operation_id="get_backup_details",
    response_model=BackupShape,
    summary="All that the catalog knows of one backup",
)
def details(caller: Anybody, served: Served, filename: str) -> Response:
    file = own_unrecorded(caller, served, filename)
    if file is not None:
        return answer(for_caller(caller, BackupShape.of_unrecorded(file)))
    shown = BackupShape.of(served.site, own_backup(caller, served, filename))
    return answer(for_caller(caller, shown))


@router.delete(
    "/backups/{filename}",
    operation_id="delete_backup",
    response_model=DeletedAnswer,
    responses=also(403),
    summary="Delete one; force for a protected one",
    openapi_extra=FORMER,
)
def delete(
    caller: Writer, context: Command, served: Served, filename: str, force: bool = False
) -> Response:
    own_backup(caller, served, filename, context)
    delete_backup(served.site, context, filename, force=force)
    return answer(DeletedAnswer(deleted=True, message=f"Backup {filename} was deleted"))


@router.post(
    "/backups/{filename}/hold",
    operation_id="hold_backup",
    response_model=HeldBackup,
    status_code=201,
    summary="Keep one from being deleted",
)
def hold(
    caller: Writer, context: Command, served: Served, filename: str, body: HoldInput
) -> Response:
    own_backup(caller, served, filename, context)
    until: datetime | None = body.until
    hold_id = place_hold(served.site, context, filename, body.reason, until)
    held = HeldBackup(**_shown(caller, served, filename), hold_id=hold_id)
    return Located(held, 201, BACKUP, filename=filename)


@router.delete(
    "/backups/{filename}/hold",
    operation_id="release_backup",
    response_model=ReleasedBackup,
    responses=also(403),
    summary="Release the holds of one that the caller may release",
)
def release(caller: Writer, context: Command, served: Served, filename: str) -> Response:
    own_backup(caller, served, filename, context)
    released = release_holds(served.site, context, filename)
    return answer(ReleasedBackup(**_shown(caller, served, filename), released_count=released))


@router.post(
    "/backups/{filename}/accept",
    operation_id="accept_backup",
    response_model=AcceptedBackup,
    summary="Say that a collapse was meant, a flaw is known",
)
def accept(
    caller: Operator,
    context: Command,
    served: Served,
    filename: str,
    body: AcceptInput | NoBody = None,
) -> Response:
    accepted = accept_backup(served.site, context, filename, (body or AcceptInput()).reason)
    names = [each.filename for each in accepted]
    return answer(AcceptedBackup(**_shown(caller, served, filename), accepted=names))


@router.post(
    "/backups/{filename}/verify",
    operation_id="verify_backup",
    response_model=VerifyBackupJob,
    status_code=202,
    summary="Check one, as a job",
)
def verify(
    caller: Anybody,
    context: Command,
    served: Served,
    filename: str,
    body: LevelInput | NoBody = None,
) -> Response:
    backup = own_backup(caller, served, filename, context)
    level = (body or LevelInput()).level

    def work(_job: Job, tell: Tell) -> VerificationShape:
        found = verify_backup(served.site, context, backup, level, on_progress=tell)
        return VerificationShape.of(found)

    return started(served.jobs.start("verify_backup", caller, work))


def own_unrecorded(caller: Caller, served: ServedSite, filename: str) -> UnrecordedFile | None:
    """A file that the ledger does not know, if it is the caller's business."""
    file = unrecorded_file(served.site, filename)
    return file if file is not None and caller.owns(file.user_id) else None


def own_backup(
    caller: Caller, served: ServedSite, filename: str, context: Context | None = None
) -> Backup:
    """A backup that is there and the caller's business.

    `context`: of a command, which adopts a file that nobody knew; a question records nothing.

    Raises:
        BackupNotFound: there is none, or it is another user's: which of them is not said.
    """
    site = served.site
    try:
        found = find_backup(site, filename)
    except BackupNotFound:
        is_there = len(filename) <= MAX_NAME and site.store.look_at(filename) is not None
        if not is_there or context is None:
            raise not_found(f"there is no backup {filename!r}") from None
        reconcile(site, context)
        found = find_backup(site, filename)
    if not caller.owns(found.user_id):
        raise not_found(f"there is no backup {filename!r}")
    return found


def take_work(
    served: ServedSite, context: Context, caller: Caller, wanted: BackupInput
) -> Callable[[Job | None, Tell | None], CreatedBackup]:
    """Taking a backup, as a job or while the caller waits; what cannot be is said before.

    Raises:
        HTTPException: 403, the role may not.
        UnknownUser, TooMany, InvalidBackupName: nothing was done.
    """
    site = served.site
    if not caller.owns(wanted.user_id or caller.user_id):
        raise HTTPException(403, "the role user makes backups of its own only")
    if wanted.pre_migration and caller.user_id is not None:
        raise HTTPException(403, "only an operator makes backups that retention never deletes")
    if wanted.user_id is not None:
        require_known_user(site, wanted.user_id)
    require_room_for_backup(site, caller)
    name = None if wanted.filename is None else person_backup_name(wanted.filename)

    def work(_job: Job | None, tell: Tell | None) -> CreatedBackup:
        backup = take_backup(
            site,
            context,
            filename=name,
            kind=BackupKind.PRE_MIGRATION if wanted.pre_migration else BackupKind.MANUAL,
            user_id=wanted.user_id or caller.user_id,
            on_progress=tell,
        )
        return _created(caller, served, backup)

    return work


def _newest_first(caller: Caller, shown: list[Shown]) -> list[Shown]:
    found = sorted(shown, key=lambda each: each.created_at, reverse=True)
    return [for_caller(caller, each) for each in found]


def for_caller(caller: Caller, shown: Shown) -> Shown:
    """A user gets a file's name alone where others get its path on the server."""
    if caller.user_id is None or shown.filepath is None:
        return shown
    return shown.model_copy(update={"filepath": shown.filename})


def _shown(caller: Caller, served: ServedSite, filename: str) -> dict[str, Any]:
    shown = BackupShape.of(served.site, find_backup(served.site, filename))
    return for_caller(caller, shown).model_dump()


def _created(caller: Caller, served: ServedSite, backup: Backup) -> CreatedBackup:
    shown = for_caller(caller, BackupShape.of(served.site, backup))
    return CreatedBackup(
        filename=backup.filename,
        path=shown.filepath or backup.filename,
        size_bytes=backup.size,
        size_mb=in_megabytes(backup.size),
        created_at=backup.created_at,
        is_valid=True,
        is_protected=backup.is_protected,
        metadata=shown,
    )
