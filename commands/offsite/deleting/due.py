"""Whether a scheduler should collect now: asked of the read models, without asking the store."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from commands.offsite.deleting.collect import collect, is_append_only
from commands.offsite.deleting.known import Known, read_known
from commands.offsite.deleting.retention import copies_to_delete
from commands.offsite.destinations import live_destinations
from commands.offsite.index_folder import index_folder
from commands.offsite.policy import Policy
from commands.offsite.publish import publish_if_behind
from ledger.append.clock_doubt import clock_doubt
from ledger.clock import format_instant, parse_instant, to_microseconds
from ledger.vocabulary import CopyStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from commands.offsite.deleting.collect import Collected
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from projections.folds.offsite_destination import Destination

BETWEEN_TRIES = timedelta(hours=1)
BETWEEN_LOOKS = timedelta(days=1)
"""Packs that no copy names are found by listing only."""
LAST_TRY = "collected"


def collect_due(
    site: Site, context: Context, stop: Callable[[], bool]
) -> list[tuple[Destination, Collected | Exception]]:
    """Collect where something may go; one destination's trouble never stops another's.

    Where the credentials of this machine may not delete, it only condemns.
    """
    outcomes: list[tuple[Destination, Collected | Exception]] = []
    for destination in live_destinations(site):
        if stop() or not destination.is_attached or not is_due(site, destination):
            continue
        _remember_try(site, destination)
        may_delete = not is_append_only(site, destination)
        try:
            done = collect(site, context, destination, delete=may_delete)
        except Exception as error:  # noqa: BLE001  (recorded, and reported by whoever asked)
            outcomes.append((destination, error))
            continue
        outcomes.append((destination, done))
        if done.claim is not None:
            publish_if_behind(site, destination)
    return outcomes


def is_due(site: Site, destination: Destination) -> bool:
    """Whether it is time to collect: something may go, or nobody has looked for a day."""
    now = site.clock.now()
    last = _last_try(site, destination)
    if last is not None and last <= now < last + BETWEEN_TRIES:
        return False
    if last is None or not last <= now < last + BETWEEN_LOOKS:
        return True
    known = read_known(site, destination.repository_id)
    return _may_delete_something(site, known, now) or _retention_has_work(site, known, now)


def next_deletion_at(destination: Destination) -> datetime | None:
    """When the first of the condemned packs may be deleted."""
    return min((parse_instant(moment) for moment in destination.condemned), default=None)


def _may_delete_something(site: Site, known: Known, now: datetime) -> bool:
    if is_append_only(site, known.destination):
        return False
    first = next_deletion_at(known.destination)
    copies = [each.deletable_at for each in known.with_status(CopyStatus.DELETING)]
    return any(moment is not None and moment <= now for moment in (first, *copies))


def _retention_has_work(site: Site, known: Known, now: datetime) -> bool:
    policy = Policy.of(known.destination)
    if policy.keep_count is None:
        return False
    with site.ledger.engine.connect() as connection:
        in_doubt = clock_doubt(connection, to_microseconds(now)) is not None
    source = site.known_source_id()
    return bool(copies_to_delete(known, policy, now, source, clock_in_doubt=in_doubt))


def _last_try(site: Site, destination: Destination) -> datetime | None:
    try:
        return parse_instant(_memory(site, destination).read_text().strip())
    except (OSError, ValueError):
        return None


def _remember_try(site: Site, destination: Destination) -> None:
    with suppress(OSError):
        _memory(site, destination).write_text(f"{format_instant(site.clock.now())}\n")


def _memory(site: Site, destination: Destination) -> Path:
    return index_folder(site, destination.repository_id) / LAST_TRY
