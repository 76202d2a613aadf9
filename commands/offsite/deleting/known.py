"""What the ledger says of a destination up to a position; and whether that still holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.backups.judge import story_of_source
from commands.offsite.destinations import require_attached
from commands.retention.apply import stands_at
from ledger.vocabulary import destination_stream
from projections.queries.catalog import backups_with_ids
from projections.queries.locked import events_after, open_restores, position_of
from projections.queries.offsite import all_destinations, copies_at, open_fetches

if TYPE_CHECKING:
    from commands.site.site import Site
    from ledger.append.recorder import LockedHead
    from ledger.records.record import Event
    from projections.folds.backup import Backup
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination


@dataclass(frozen=True, slots=True)
class Known:
    """`busy`: ids of copies that are being fetched, or whose backup is being restored.

    `stands_at`: by backup, the position that tells its age. `whole_until`: the position before
    which backups of this site's own source are from before an open collapse; None for no collapse.
    """

    destination: Destination
    copies: dict[str, OffsiteCopy]
    backups: dict[str, Backup]
    busy: set[str]
    stands_at: dict[str, int]
    whole_until: int | None
    position: int

    def with_status(self, *statuses: str) -> list[OffsiteCopy]:
        """Copies in one of these states, oldest first."""
        return [each for each in self.copies.values() if each.status in statuses]


def read_known(site: Site, repository_id: str) -> Known:
    """The ledger as it stands now.

    Raises:
        DestinationConflict: the destination was removed.
    """
    source = site.known_source_id()
    with site.read_models.reading() as connection:
        position = position_of(connection)
        found = {each.repository_id: each for each in all_destinations(connection)}
        copies = {each.copy_id: each for each in copies_at(connection, repository_id)}
        backups = backups_with_ids(connection, {each.backup_id for each in copies.values()})
        story = None if source is None else story_of_source(site, connection, source)
    destination = found.get(repository_id)
    require_attached(destination, "?" if destination is None else destination.name)
    assert destination is not None
    with site.ledger.engine.connect() as connection:
        fetched = {stream.removeprefix("copy/") for stream, _, _ in open_fetches(connection)}
        ages = {each.backup_id: stands_at(connection, each) for each in backups.values()}
        restored = {each.started.backup_id for each in open_restores(connection)}
    busy = fetched | {each.copy_id for each in copies.values() if each.backup_id in restored}
    whole_until = None if story is None else story.whole_until
    return Known(destination, copies, backups, busy, ages, whole_until, position)


def is_stale(locked: LockedHead, known: Known) -> bool:
    """Whether anything that a decision leans on was appended since."""
    return any(_concerns(event, known) for _, event in events_after(locked, known.position))


def _concerns(event: Event, known: Known) -> bool:
    repository_id = known.destination.repository_id
    kind, _, thing = event.stream.partition("/")
    if kind == "copy":
        return getattr(event.details, "destination", None) == repository_id
    if kind == "backup":
        return thing in known.backups
    return kind == "restore" or event.stream == destination_stream(repository_id)
