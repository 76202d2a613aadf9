"""Keeping one file for a database that did not change since the last backup (`share_unchanged`)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from commands.sqlite.errors import SQLiteFileError
from commands.sqlite.files import sha256_of
from projections.queries.catalog import last_good_backup_of_user

if TYPE_CHECKING:
    from commands.backups.staging import Staged
    from commands.site.site import Site

logger = logging.getLogger("backup_ledger.unchanged")


def share_with_last(
    site: Site, staged: Staged, source: str, user_id: int | None, *, at_head: bool = True
) -> str | None:
    """Let a staged backup share the file of the same user's last good one, if they are equal.

    Equal means every byte: the snapshot was taken and checked as ever, and the older file is
    read again now, so a damaged one is never shared. Returns the id of the first entry on the
    file, or None.
    """
    if not site.configuration.share_unchanged:
        return None
    with site.read_models.reading(at_head=at_head) as connection:
        last = last_good_backup_of_user(connection, site.store.store_id, source, user_id)
    snapshot = staged.snapshot
    if last is None or (last.size, last.sha256) != (snapshot.size, snapshot.sha256):
        return None
    try:
        if site.store.look_at(last.filename) is None:
            return None
        wanted = snapshot.sha256
        if site.store.share(staged.path, last.filename, lambda path: sha256_of(path) == wanted):
            return last.shared_with or last.backup_id
    except (OSError, SQLiteFileError) as error:
        logger.warning("%r cannot be shared with: %s", last.filename, error)
    return None
