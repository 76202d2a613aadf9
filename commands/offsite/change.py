"""Change or remove a destination: facts in the ledger; nothing there is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.offsite.destinations import open_session
from commands.offsite.errors import DestinationConflict
from commands.offsite.policy import Policy
from ledger.append.ledger import Draft
from ledger.events.offsite import (
    CopyAbandoned,
    CopyNotFetched,
    DestinationAttached,
    DestinationChanged,
    DestinationRemoved,
)
from ledger.events.offsite_deletion import CollectFailed
from ledger.vocabulary import copy_stream, destination_stream
from projections.queries.locked import open_copies
from projections.queries.offsite import destination_locked, open_fetches

if TYPE_CHECKING:
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from ledger.events.base import ChangedFields
    from projections.folds.offsite_destination import Destination


REMOVED = "the destination was removed"


def change_destination(
    site: Site, context: Context, destination: Destination, changes: ChangedFields
) -> bool:
    """Change settings of a destination; whether anything changed.

    Raises:
        DestinationConflict: it was removed meanwhile.
        DestinationRefused: the settings contradict each other; nothing was changed.
    """

    def decide(locked: LockedHead) -> list[Draft]:
        found = _live(locked, destination)
        values = found.settings | found.stated
        after = {name: value for name, value in changes.items() if values.get(name) != value}
        if not after:
            return []
        Policy.of_values(values | after)
        details = DestinationChanged(before={name: values.get(name) for name in after}, after=after)
        return [Draft(destination_stream(destination.repository_id), details)]

    recorded = site.ledger.decide(context, decide)
    if recorded:
        site.notify(recorded)
    return bool(recorded)


def attach_destination(site: Site, context: Context, destination: Destination) -> bool:
    """Let this ledger, a recovered one, copy to and delete at a destination; whether it changed.

    Raises:
        RepositoryForked: what is there was written by a later or another history: nothing changed.
    """
    open_session(site, destination)

    def decide(locked: LockedHead) -> list[Draft]:
        found = _live(locked, destination)
        if found.is_attached:
            return []
        attached = DestinationAttached(name=found.name)
        return [Draft(destination_stream(destination.repository_id), attached)]

    recorded = site.ledger.decide(context, decide)
    if recorded:
        site.notify(recorded)
    return bool(recorded)


def remove_destination(site: Site, context: Context, destination: Destination) -> None:
    """Forget a destination: leases end, nothing is deleted, and it can be added again.

    Raises:
        DestinationConflict: it was removed meanwhile.
    """

    def decide(locked: LockedHead) -> list[Draft]:
        found = _live(locked, destination)
        drafts = [
            Draft(
                copy_stream(each.copy_id),
                CopyAbandoned(
                    destination=each.destination, backup_id=each.backup_id, owner=each.owner
                ),
                each.user_id,
                error_message=REMOVED,
            )
            for each in open_copies(locked.connection)
            if each.destination == destination.repository_id
        ]
        drafts += [
            Draft(
                stream,
                CopyNotFetched(
                    destination=fetch.destination,
                    backup_id=fetch.backup_id,
                    fetch_id=fetch.fetch_id,
                    reason=fetch.reason,
                    error_type="removed",
                ),
                user_id,
                error_message=REMOVED,
            )
            for stream, user_id, fetch in open_fetches(locked.connection)
            if fetch.destination == destination.repository_id
        ]
        if found.collect_id is not None:
            ended = CollectFailed(collect_id=found.collect_id, error_type="removed")
            stream = destination_stream(destination.repository_id)
            drafts.append(Draft(stream, ended, error_message=REMOVED))
        removed = DestinationRemoved(name=found.name)
        return [*drafts, Draft(destination_stream(destination.repository_id), removed)]

    site.notify(site.ledger.decide(context, decide))


def _live(locked: LockedHead, destination: Destination) -> Destination:
    found = destination_locked(locked, destination.repository_id)
    if found is None or found.status == "removed":
        raise DestinationConflict(f"destination {destination.name!r} was removed meanwhile")
    return found
