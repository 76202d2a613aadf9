"""A backup as it is shown: as the former service had it, or with all that the catalog knows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Self

from commands.backups.unrecorded import UNRECORDED
from commands.shapes.audit import ActorShape
from commands.shapes.shape import Shape

if TYPE_CHECKING:
    from commands.backups.unrecorded import UnrecordedFile
    from commands.site.site import Site
    from commands.site.store import Store
    from projections.folds.backup import Backup


class BackupMetadataResponse(Shape):
    """One backup. `size` in bytes, `created_at` aware UTC."""

    filename: str
    filepath: str
    size: int
    created_at: datetime
    is_protected: bool

    @classmethod
    def of(cls, backup: Backup, store: Store) -> Self:
        return cls(
            filename=backup.filename,
            filepath=str(store.path(backup.filename)),
            size=backup.size,
            created_at=backup.created_at,
            is_protected=backup.is_protected,
        )

    @classmethod
    def of_unrecorded(cls, file: UnrecordedFile) -> Self:
        """A file that the ledger does not know."""
        return cls(
            filename=file.filename,
            filepath=str(file.path),
            size=file.size,
            created_at=file.created_at,
            is_protected=file.is_protected,
        )


class HoldShape(Shape):
    """A person's order to keep a backup; `until`: null for good."""

    hold_id: str
    reason: str
    until: datetime | None
    placed_by: ActorShape


class BackupShape(Shape):
    """The columns of the `backup_catalog` table, and where the file is.

    Of a file that the ledger does not know, most is null, and its status is `unrecorded`.
    """

    backup_id: str | None = None
    filename: str
    store: str | None = None
    source: str | None = None
    user_id: int | None = None
    run_id: str | None = None
    kind: str
    size: int
    sha256: str | None = None
    status: str
    is_protected: bool
    holds: list[HoldShape]
    shared_with: str | None = None
    created_at: datetime
    verified_level: str | None = None
    verified_at: datetime | None = None
    deleted_at: datetime | None = None
    position: int | None = None
    condition: str | None = None
    findings: list[str] | None = None
    unchecked: list[str] | None = None
    warnings: list[str] | None = None
    cipher: str | None = None
    local_day: str | None = None
    collapsed_from: str | None = None
    accepted_at: datetime | None = None
    filepath: str | None = None
    """Null where it is in another store."""

    @classmethod
    def of(cls, site: Site, backup: Backup) -> Self:
        return cls.model_validate(backup).model_copy(update={"filepath": path_of(site, backup)})

    @classmethod
    def of_unrecorded(cls, file: UnrecordedFile) -> Self:
        """A file that the ledger does not know."""
        return cls(
            filename=file.filename,
            filepath=str(file.path),
            kind=file.kind,
            user_id=file.user_id,
            size=file.size,
            status=UNRECORDED,
            is_protected=file.is_protected,
            created_at=file.created_at,
            holds=[],
        )


class HeldBackup(BackupShape):
    """`hold_id`: of the hold that was placed just now."""

    hold_id: str


class ReleasedBackup(BackupShape):
    """`released_count`: how many holds were released."""

    released_count: int


class AcceptedBackup(BackupShape):
    """`accepted`: the names of all backups that were accepted with it."""

    accepted: list[str]


class CreatedBackup(Shape):
    """A backup that was made just now, by the former service's names; ours are in `metadata`."""

    filename: str
    path: str
    size_bytes: int
    size_mb: float
    created_at: datetime
    is_valid: bool
    is_protected: bool
    metadata: BackupShape


class BackupList(Shape):
    """What is there, newest first."""

    backups: list[BackupMetadataResponse]
    count: int


class WholeBackupList(Shape):
    """The same with all columns, where they were asked for."""

    backups: list[BackupShape]
    count: int


class DeletedAnswer(Shape):
    """A backup is gone."""

    deleted: bool
    message: str


class DownloadShape(Shape):
    """A file that may be fetched once, at /downloads/{download_id}, until `expires_at`."""

    download_id: str
    filename: str
    size: int
    sha256: str
    expires_at: datetime


def path_of(site: Site, backup: Backup) -> str | None:
    """Where a backup's file is; None where it is in another store."""
    is_here = site.has_store and backup.store == site.store.store_id
    return str(site.store.path(backup.filename)) if is_here else None
