"""Taking a backup out of the folder: a POST records it and gives an address that works once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Response
from starlette.responses import FileResponse

from commands.backups.download import download_backup
from commands.backups.find import find_backup
from commands.errors import BackupNotFound
from commands.http.callers import Caller, Operator
from commands.http.downloads import SECONDS, Download
from commands.http.ledger_route import Command, LedgerRoute
from commands.http.problems import not_found
from commands.http.routes.backups import own_backup
from commands.http.schema import BYTES, FILE
from commands.http.served_site import Served, ServedSite
from commands.http.shapes import DOWNLOAD, Located
from commands.shapes.backups import DownloadShape

if TYPE_CHECKING:
    from ledger.append.ledger import Context
    from projections.folds.backup import Backup

router = APIRouter(route_class=LedgerRoute, tags=["backups"])


@router.post(
    "/backups/{filename}/download",
    operation_id="create_download",
    response_model=DownloadShape,
    status_code=201,
    summary="An address that gives the file once, to this caller, within a minute",
)
def offer(caller: Operator, context: Command, served: Served, filename: str) -> Response:
    """A backup holds everybody's data, so it takes an operator, and the ledger records it."""
    backup, offered = offered_download(served, context, caller, filename)
    shown = DownloadShape(
        download_id=offered.download_id,
        filename=backup.filename,
        size=backup.size,
        sha256=backup.sha256,
        expires_at=offered.expires_at,
    )
    return Located(shown, 201, DOWNLOAD, download_id=offered.download_id)


@router.get(
    "/downloads/{download_id}",
    operation_id="fetch_download",
    responses=FILE,
    summary="The file of an address that was given out",
    name=DOWNLOAD,
    response_class=FileResponse,
)
def fetch(caller: Operator, served: Served, download_id: str) -> Response:
    offered = served.downloads.take(download_id, caller)
    if offered is None:
        raise not_found(
            f"there is nothing to fetch here: an address works once, within {SECONDS} seconds, for "
            "the caller who asked for it; ask for another: POST /backups/{filename}/download"
        )
    _require_there(served, offered)
    path = served.site.store.path(offered.filename)
    return FileResponse(path, filename=offered.filename, media_type=BYTES)


def offered_download(
    served: ServedSite, context: Context, caller: Caller, filename: str
) -> tuple[Backup, Download]:
    """Record that a backup is taken out, and where it is fetched.

    Raises:
        BackupNotFound: there is none, or its file is not there.
    """
    own_backup(caller, served, filename, context)
    backup = download_backup(served.site, context, filename)
    return backup, served.downloads.offer(caller, backup.filename, backup.backup_id)


def _require_there(served: ServedSite, offered: Download) -> None:
    """The same backup, and its file: it may have been deleted since."""
    try:
        found = find_backup(served.site, offered.filename)
    except BackupNotFound:
        found = None
    is_same = found is not None and found.backup_id == offered.backup_id
    if not is_same or served.site.store.look_at(offered.filename) is None:
        raise not_found(f"the file of backup {offered.filename!r} is not there any more")
