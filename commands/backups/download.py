"""Handing a backup's file to a person, which is recorded before the first byte goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.backups.find import find_backup
from commands.errors import BackupNotFound
from ledger.append.ledger import Draft
from ledger.events.catalog import BackupDownloaded
from ledger.vocabulary import backup_stream
from projections.queries.locked import backup_locked

if TYPE_CHECKING:
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.backup import Backup


def download_backup(site: Site, context: Context, filename: str) -> Backup:
    """Record that somebody is given a backup's file; the backup.

    A corrupt one may be taken out as well: people look into what is left of it.

    Raises:
        BackupNotFound: there is none of this name, or its file is not there.
    """
    backup = find_backup(site, filename)
    file = site.store.look_at(filename)

    def decide(locked: LockedHead) -> list[Draft]:
        found = backup_locked(locked, backup.backup_id)
        if file is None or found is None or not found.is_present:
            raise BackupNotFound(f"the file of backup {filename!r} is not there; choose another")
        details = BackupDownloaded(bytes=file.size)
        return [Draft(backup_stream(backup.backup_id), details, backup.user_id)]

    site.notify(site.ledger.decide(context, decide))
    return backup
