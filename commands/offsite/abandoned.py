"""Copies, fetches and deletions whose owner is gone: their end is recorded, others go on.

Needs none of the libraries that copying needs: recovery asks for it wherever it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.offsite.deleting.claim import abandoned_collect
from commands.site.fence import is_over
from ledger.append.leases_and_names import all_leases, end_lease, lease_now
from ledger.append.ledger import Draft
from ledger.events.offsite import CopyAbandoned, CopyNotFetched
from ledger.vocabulary import copy_stream
from projections.queries.locked import open_copies
from projections.queries.offsite import destination_locked, open_fetches, repositories_collected

KINDS = ("copy", "fetch", "collect")

if TYPE_CHECKING:
    from commands.site.site import Site
    from ledger.append.leases_and_names import Lease
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead


def abandon_dead_copies(site: Site, context: Context, owner: str | None = None) -> int:
    """Record the end of copies and fetches whose owner is gone; how many those were.

    `owner`: one that is known to be dead.
    """
    _free_publishing(site, owner)
    with site.ledger.engine.connect() as connection:
        leases = [each for kind in KINDS for each in all_leases(connection, kind)]
        now = lease_now(connection, site.clock.monotonic())
        over = {
            each.run_id: each for each in leases if each.owner == owner or is_over(site, each, now)
        }
        if not over:
            return 0

    def decide(locked: LockedHead) -> list[Draft]:
        still = _as_they_were(locked, over)
        drafts = _abandoned_copies(locked, still) + _abandoned_fetches(locked, still)
        return drafts + _abandoned_collects(locked, still)

    recorded = site.ledger.decide(context, decide)
    if recorded:
        site.notify(recorded)
    return len(recorded)


def _free_publishing(site: Site, owner: str | None) -> None:
    """Leases that nothing but publishing needs; what was not finished is published again."""
    with site.ledger.engine.connect() as connection:
        leases = all_leases(connection, "publish")
        now = lease_now(connection, site.clock.monotonic())
    for each in leases:
        if each.owner == owner or is_over(site, each, now):
            with site.ledger.locked() as locked:
                end_lease(locked.connection, each.run_id, each.owner)


def _as_they_were(locked: LockedHead, over: dict[str, Lease]) -> dict[str, Lease]:
    """Leases that nobody has renewed or ended since they were looked at."""
    now = {each.run_id: each for kind in KINDS for each in all_leases(locked.connection, kind)}
    return {name: each for name, each in over.items() if now.get(name) == each}


def _abandoned_copies(locked: LockedHead, over: dict[str, Lease]) -> list[Draft]:
    drafts = []
    for copy in open_copies(locked.connection):
        lease = over.get(copy_stream(copy.copy_id))
        if lease is not None:
            details = CopyAbandoned(
                destination=copy.destination, backup_id=copy.backup_id, owner=lease.owner
            )
            message = "the process that made the copy is gone"
            drafts.append(
                Draft(copy_stream(copy.copy_id), details, copy.user_id, error_message=message)
            )
    return drafts


def _abandoned_collects(locked: LockedHead, over: dict[str, Lease]) -> list[Draft]:
    dead = {name.removeprefix("collect/") for name in over if name.startswith("collect/")}
    if not dead:
        return []
    ids = repositories_collected(locked.connection)
    found = [destination_locked(locked, repository_id) for repository_id in ids]
    return [
        abandoned_collect(each) for each in found if each is not None and each.collect_id in dead
    ]


def _abandoned_fetches(locked: LockedHead, over: dict[str, Lease]) -> list[Draft]:
    drafts = []
    for stream, user_id, fetch in open_fetches(locked.connection):
        if f"fetch/{fetch.fetch_id}" in over:
            details = CopyNotFetched(
                destination=fetch.destination,
                backup_id=fetch.backup_id,
                fetch_id=fetch.fetch_id,
                reason=fetch.reason,
                error_type="abandoned",
            )
            message = "the process that fetched the copy is gone"
            drafts.append(Draft(stream, details, user_id, error_message=message))
    return drafts
