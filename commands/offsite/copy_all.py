"""Copy what has no copy yet, destination by destination, oldest backup first."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.backups.find import find_backup
from commands.errors import CommandError
from commands.offsite.copy import copy_backup
from commands.offsite.destinations import chosen_destinations, require_attached
from commands.offsite.due import missing_backups, tidy
from commands.offsite.errors import DestinationUnreachable, RepositoryForked
from commands.offsite.publish import publish_ledger, published_size
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.site.site import Site
    from commands.sqlite.files import Progress
    from ledger.append.ledger import Context
    from projections.folds.backup import Backup
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination

logger = logging.getLogger("backup_ledger.offsite")


@dataclass(frozen=True, slots=True)
class CopyOutcome:
    """What became of one backup at one destination; `error` is recorded already."""

    destination: Destination
    backup: Backup
    copy: OffsiteCopy | None = None
    error: Exception | None = None


def copy_missing(
    site: Site,
    context: Context,
    *,
    names: Sequence[str] | None = None,
    to: str | None = None,
    even_deleted: bool = False,
    on_progress: Progress | None = None,
) -> list[CopyOutcome]:
    """Copy backups that have no copy at their destination; by name also those that have one.

    One destination's trouble never stops another's; one backup's never stops the next, unless the
    destination cannot be reached or is not ours.

    Raises:
        DestinationUnknown: there is none, or none of this name.
        BackupNotFound: there is no backup of one of the names.
    """
    destinations = chosen_destinations(site, to)
    named = [find_backup(site, name) for name in names or ()]
    outcomes: list[CopyOutcome] = []
    for destination in destinations:
        if not destination.is_attached:
            if to is not None:
                require_attached(destination, destination.name)  # it says what to do
            continue
        tidy(site, context, destination)
        wanted = (
            sorted(named, key=lambda each: each.position)
            if names
            else missing_backups(site, destination, even_deleted=even_deleted)
        )
        for backup in wanted:
            outcome = _copy_one(site, context, destination, backup, on_progress)
            outcomes.append(outcome)
            if isinstance(outcome.error, DestinationUnreachable | RepositoryForked):
                break
        else:
            publish_if_behind(site, destination)
    return outcomes


def publish_if_behind(site: Site, destination: Destination) -> None:
    """Publish the ledger where it has grown; trouble is logged, and it is tried with the next copy.

    A copy counts once its event is appended; publishing is what a bare machine needs.
    """
    if published_size(site, destination) == site.ledger.log_recorder.head().size:
        return
    try:
        publish_ledger(site, destination)
    except (CommandError, LedgerError) as error:
        logger.warning("the ledger was not published to %s: %s", destination.name, error)


def _copy_one(
    site: Site,
    context: Context,
    destination: Destination,
    backup: Backup,
    on_progress: Progress | None,
) -> CopyOutcome:
    def told(done: int, total: int) -> None:
        if on_progress is not None:
            on_progress(f"{backup.filename} to {destination.name}", done, total)

    try:
        copy = copy_backup(site, context, destination, backup, told)
    except Exception as error:  # noqa: BLE001  (recorded, and reported by whoever asked)
        return CopyOutcome(destination, backup, error=error)
    return CopyOutcome(destination, backup, copy)
