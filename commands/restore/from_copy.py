"""Restore from an off-site copy: fetch its file into staging, then restore as always."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.errors import BackupNotFound
from commands.offsite.destinations import open_reading
from commands.offsite.errors import OffsiteError, RepositoryDamaged
from commands.offsite.fetch import fetch_copy, newest_copy
from commands.offsite.repository.layout import pack_list_path
from commands.offsite.repository.packs import decode_pack_list
from commands.offsite.verify import record_bad_packs
from commands.restore.plan import Fetched
from commands.restore.restore import restore_backup
from commands.sqlite.files import remove_database
from commands.sqlite.space import require_space
from projections.queries.catalog import backups_named

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from commands.restore.restore import RestoreOutcome
    from commands.site.site import Site
    from commands.sqlite.files import Progress
    from ledger.append.ledger import Context
    from projections.folds.backup import Backup
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination

SPARED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """What fetching a copy takes. `requests`: how many objects are read."""

    destination: Destination
    copy: OffsiteCopy
    bytes: int
    requests: int


def find_copied(
    site: Site, filename: str, destination: str | None = None
) -> tuple[Backup, Destination, OffsiteCopy]:
    """The newest backup of a name that has a good copy, wherever its own file is or was.

    Raises:
        BackupNotFound: the ledger knows no backup of this name.
        CopyUnknown: none of them has a good copy, or none at this destination.
    """
    with site.read_models.reading() as connection:
        found = backups_named(connection, filename)
    if not found:
        raise BackupNotFound(
            f"the ledger knows no backup {filename!r}; see: backup-ledger backup list"
        )
    error: Exception | None = None
    for backup in sorted(found, key=lambda each: each.position, reverse=True):
        try:
            return backup, *newest_copy(site, backup, destination)
        except LookupError as missing:
            error = error or missing
    assert error is not None
    raise error


def plan_fetch(site: Site, destination: Destination, copy: OffsiteCopy) -> CopyPlan:
    """What fetching would read; reads only the copy's list of packs.

    Raises:
        OffsiteError: the store failed, or the repository is not ours.
    """
    path = pack_list_path(copy.copy_id)
    packs = decode_pack_list(open_reading(site, destination).get(path), path)
    # The list and the manifest are read, too.
    return CopyPlan(destination, copy, sum(pack.size for pack in packs), len(packs) + 2)


def restore_from_copy(
    site: Site,
    context: Context,
    filename: str,
    *,
    destination: str | None,
    identities: Sequence[str],
    to: Path | None = None,
    force: bool = False,
    on_progress: Progress | None = None,
) -> RestoreOutcome:
    """Restore the newest copy of a backup; its own file need not be there.

    Raises:
        CopyUnknown: there is no good copy.
        WrongKey: no identity opens it.
        RepositoryDamaged: the copy is not what was recorded; nothing was touched.
        Exception: as `restore_backup`.
    """
    backup, place, copy = find_copied(site, filename, destination)
    require_space(site.owner.folder, backup.size + SPARED_BYTES, "fetched copy", site.free_bytes)

    def fetching(done: int, total: int) -> None:
        if on_progress is not None:
            on_progress("fetch", done, total)

    with site.owner.staging(f"fetched-{uuid4()}") as path:
        try:
            try:
                fetch_copy(
                    site,
                    context,
                    place,
                    copy,
                    path,
                    identities=identities,
                    reason="restore",
                    on_progress=fetching,
                )
            except RepositoryDamaged:
                with suppress(OffsiteError):  # the next try takes another copy
                    record_bad_packs(site, context, place, copy)
                raise
            return restore_backup(
                site,
                context,
                filename,
                to=to,
                force=force,
                fetched=Fetched(backup, path),
                on_progress=on_progress,
            )
        finally:
            with suppress(OSError):  # what cannot be removed now is recovery's
                remove_database(path)
