"""Find a backup by the name that a person gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.backups.unrecorded import unrecorded_file
from commands.errors import BackupNotFound, InvalidArgument
from ledger.vocabulary import BackupStatus
from projections.queries.catalog import backup_named

if TYPE_CHECKING:
    from commands.site.site import Site
    from projections.folds.backup import Backup


def find_recorded(site: Site, filename: str) -> Backup:
    """The backup of a file name as the ledger has it, whether or not its folder is there.

    Raises:
        InvalidArgument, BackupNotFound: as `find_backup`.
    """
    if site.has_store:
        return find_backup(site, filename)
    _require_plain(filename)
    with site.read_models.reading() as connection:
        backup = backup_named(connection, None, filename)
    if backup is None or backup.status == BackupStatus.DELETED:
        raise BackupNotFound(
            f"there is no backup {filename!r} in the ledger; see: backup-ledger backup list --all"
        )
    return backup


def _require_plain(filename: str) -> None:
    if not filename or "/" in filename or "\\" in filename or "\0" in filename:
        raise InvalidArgument(f"{filename!r} is not a plain file name; give one from the list")


def find_backup(site: Site, filename: str) -> Backup:
    """The backup of a file name that is there (or missing, but not deleted).

    Raises:
        InvalidArgument: the name is not a plain file name.
        BackupNotFound: there is none.
    """
    _require_plain(filename)
    with site.read_models.reading() as connection:
        backup = backup_named(connection, site.store.store_id, filename)
    if backup is None or backup.status == BackupStatus.DELETED:
        if unrecorded_file(site, filename) is not None:
            raise BackupNotFound(
                f"{filename!r} is in {site.store.folder}, but not in the ledger yet; "
                "record it: backup-ledger backup reconcile"
            )
        if is_known(site, filename):
            raise BackupNotFound(
                f"backup {filename!r} was made in another backups folder of this ledger; run the "
                "command there, or restore its off-site copy"
            )
        raise BackupNotFound(
            f"there is no backup {filename!r} in {site.store.folder}; "
            "see: backup-ledger backup list"
        )
    return backup


def is_known(site: Site, filename: str) -> bool:
    """Whether the ledger has a backup of the name, in whichever backups folder it was made."""
    with site.read_models.reading() as connection:
        backup = backup_named(connection, None, filename)
    return backup is not None and backup.status != BackupStatus.DELETED
