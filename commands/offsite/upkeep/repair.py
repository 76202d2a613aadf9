"""Replace corrupt copies: a new one from the backup's own file, then the corrupt one goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.errors import message_of
from commands.offsite.copy import copy_backup
from commands.offsite.destinations import find_destination, require_attached
from commands.offsite.errors import DestinationUnreachable, RepositoryForked
from commands.offsite.policy import Policy
from ledger.append.ledger import Draft
from ledger.events.offsite_deletion import CopyDeletionStarted
from ledger.vocabulary import BackupStatus, CopyStatus, copy_stream
from projections.queries.catalog import backups_with_ids
from projections.queries.offsite import copies_at, copy_locked, open_fetches

if TYPE_CHECKING:
    from commands.site.site import Site
    from commands.sqlite.files import Progress
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.backup import Backup
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of a corrupt copy. `made`: the one that takes its place; None: it stays."""

    corrupt: OffsiteCopy
    made: OffsiteCopy | None
    reason: str | None = None


def repair_copies(
    site: Site,
    context: Context,
    destination: Destination,
    on_progress: Progress | None = None,
) -> list[Repaired]:
    """Replace every corrupt copy whose backup is still here as it was recorded.

    Raises:
        RepositoryForked: the repository is not ours; nothing was touched.
        DestinationUnreachable: the store failed; what was repaired by then stays so.
    """
    require_attached(destination, destination.name)
    with site.read_models.reading() as connection:
        corrupt = copies_at(connection, destination.repository_id, (CopyStatus.CORRUPT,))
        backups = backups_with_ids(connection, {each.backup_id for each in corrupt})
    return [
        _repair(site, context, destination.name, each, backups.get(each.backup_id), on_progress)
        for each in corrupt
    ]


def _repair(
    site: Site,
    context: Context,
    name: str,
    corrupt: OffsiteCopy,
    backup: Backup | None,
    on_progress: Progress | None,
) -> Repaired:
    def told(done: int, total: int) -> None:
        if on_progress is not None:
            on_progress(corrupt.filename, done, total)

    destination = find_destination(site, name)  # packs that were found damaged since
    made = _good_copy(site, destination, corrupt)
    if made is None:
        if backup is None or backup.status != BackupStatus.OK:
            return Repaired(corrupt, None, "its backup is not here any more")
        if backup.store != site.store.store_id:
            reason = "its backup is in another backups folder of this ledger; repair it from there"
            return Repaired(corrupt, None, reason)
        try:
            made = copy_backup(site, context, destination, backup, told)
        except (DestinationUnreachable, RepositoryForked):
            raise
        except Exception as error:  # noqa: BLE001  (recorded by the copy; the next one is tried)
            return Repaired(corrupt, None, message_of(error))
    if not _delete(site, context, destination, corrupt, made):
        return Repaired(corrupt, made, "it is being fetched, and goes next time")
    return Repaired(corrupt, made)


def _good_copy(site: Site, destination: Destination, corrupt: OffsiteCopy) -> OffsiteCopy | None:
    with site.read_models.reading() as connection:
        good = copies_at(connection, destination.repository_id, (CopyStatus.OK,))
    return next((each for each in reversed(good) if each.backup_id == corrupt.backup_id), None)


def _delete(
    site: Site,
    context: Context,
    destination: Destination,
    corrupt: OffsiteCopy,
    made: OffsiteCopy,
) -> bool:
    """Let the corrupt copy go, once a good one is there; the next collect deletes it."""
    details = CopyDeletionStarted(
        destination=corrupt.destination,
        backup_id=corrupt.backup_id,
        collect_id=None,
        filename=corrupt.filename,
        reason="repair",
        rule=None,
        not_before=Policy.of(destination).not_before(site.clock.now(), _put_at(corrupt)),
    )
    stream = copy_stream(corrupt.copy_id)

    def decide(locked: LockedHead) -> list[Draft]:
        found, good = copy_locked(locked, corrupt.copy_id), copy_locked(locked, made.copy_id)
        is_fetched = any(each == stream for each, _, _ in open_fetches(locked.connection))
        if found is None or found.status != CopyStatus.CORRUPT or is_fetched:
            return []
        if good is None or good.status != CopyStatus.OK:
            return []
        return [Draft(stream, details, corrupt.user_id)]

    recorded = site.ledger.decide(context, decide)
    if recorded:
        site.notify(recorded)
    return bool(recorded)


def _put_at(copy: OffsiteCopy) -> float | None:
    return None if copy.completed_at is None else copy.completed_at.timestamp()
