"""Copy what has no copy yet, destination by destination, oldest backup first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

from commands.backups.find import find_backup
from commands.offsite.copy import copy_backup
from commands.offsite.destinations import (
    chosen_destinations,
    live_destinations,
    require_attached,
)
from commands.offsite.due import missing_backups, tidy
from commands.offsite.errors import CopyStopped, DestinationUnreachable, RepositoryForked
from commands.offsite.publish import publish_if_behind
from commands.offsite.worker.pace import is_open
from ledger.vocabulary import CopyStatus
from projections.queries.offsite import copies_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from commands.site.site import Site
    from commands.sqlite.files import Progress
    from ledger.append.ledger import Context
    from projections.folds.backup import Backup
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination

LONGEST_WAIT_MINUTES = 60


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


def copy_due(site: Site, context: Context, stop: Callable[[], bool]) -> list[CopyOutcome]:
    """What a scheduler does after each check: copy what is missing, unless it failed just now.

    A destination whose copies failed is tried again with growing waits, up to an hour; one with a
    window only inside it. `stop` is asked between copies and while one is sent; an upload that
    ends there, or with the window, sends the rest next time.
    """
    outcomes: list[CopyOutcome] = []
    for destination in live_destinations(site):
        if stop() or not destination.is_attached or site.clock.now() < retry_at(site, destination):
            continue
        if is_open(destination, site.clock.now()):
            outcomes += _copy_due_to(site, context, destination, stop)
    return outcomes


def _copy_due_to(
    site: Site, context: Context, destination: Destination, stop: Callable[[], bool]
) -> list[CopyOutcome]:
    def on_progress(*_: object) -> None:
        if stop():
            raise CopyStopped("the scheduler was stopped; the rest is sent next time")
        if not is_open(destination, site.clock.now()):
            raise CopyStopped(f"the window of {destination.name} is over; the rest is sent in it")

    missing = missing_backups(site, destination)
    if missing:
        tidy(site, context, destination)
    copied: list[CopyOutcome] = []
    for backup in missing:
        copied.append(_copy_one(site, context, destination, backup, on_progress))
        if copied[-1].error is not None or stop() or not is_open(destination, site.clock.now()):
            break
    if any(each.error is None for each in copied):
        publish_if_behind(site, destination)
    return copied


def retry_at(site: Site, destination: Destination) -> datetime:
    """When copying there is tried again: at once, or after failures 1, 2, 4 ... minutes later."""
    with site.read_models.reading() as connection:
        copies = copies_at(
            connection, destination.repository_id, (CopyStatus.OK, CopyStatus.FAILED)
        )
    failures = list(takewhile(lambda each: each.status == CopyStatus.FAILED, reversed(copies)))
    if not failures:
        return datetime.min.replace(tzinfo=UTC)
    minutes = min(2 ** (len(failures) - 1), LONGEST_WAIT_MINUTES)
    return failures[0].started_at + timedelta(minutes=minutes)
