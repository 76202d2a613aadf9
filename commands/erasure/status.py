"""Until when copies remain that can hold what was erased: backups of the application's database.

No backup is rewritten. Each one that was made before an erasure can hold, in the application's own
tables, what the person asked to have erased; so can its off-site copies. When the last of them is
gone follows from the rules that delete them (`commands.erasure.lifetime`); where no rule does, that
is unknown. A published ledger has the erased records themselves until it is published again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from commands.erasure.lifetime import Lifetime, lifetime_of_backup, lifetime_of_copy
from commands.offsite.index_folder import published_size
from commands.offsite.policy import Policy
from ledger.append.database import reading_snapshot, translated_errors
from ledger.vocabulary import BackupStatus, CopyStatus
from projections.queries.catalog import backups_of_store
from projections.queries.erasures import Erasure, erasures
from projections.queries.offsite import all_destinations, copies_at
from projections.queries.schedules import all_schedules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from commands.site.site import Site
    from projections.folds.offsite_destination import Destination

_GONE = (CopyStatus.DELETED, CopyStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Holder:
    """A copy from before an erasure. `gone_by`: None where no rule deletes it; `why`: what does."""

    name: str
    position: int
    gone_by: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class Remaining:
    """An erasure, and the copies that can still hold what it was about."""

    erasure: Erasure
    holders: tuple[Holder, ...]

    @property
    def gone_by(self) -> datetime | None:
        """When the last one is gone at the latest; None where that is unknown, or none is left."""
        if self.is_unknown:
            return None
        return max((each.gone_by for each in self.holders if each.gone_by), default=None)

    @property
    def is_unknown(self) -> bool:
        return any(each.gone_by is None for each in self.holders)


def remaining(site: Site, now: datetime) -> list[Remaining]:
    """Every erasure, oldest first, with the copies that are older than it."""
    with translated_errors(site.ledger.engine), reading_snapshot(site.ledger.engine) as connection:
        acts = erasures(connection)
    if not acts:
        return []
    with site.read_models.reading() as connection:
        destinations = all_destinations(connection)
    holders = [*_backups(site, now), *_copies(site, now, destinations)]
    return [
        Remaining(
            each,
            (
                *(holder for holder in holders if holder.position < each.position),
                *_published(site, destinations, each, now),
            ),
        )
        for each in acts
    ]


def _backups(site: Site, now: datetime) -> Iterator[Holder]:
    present = [each for each in BackupStatus if each != BackupStatus.DELETED]
    with site.read_models.reading() as connection:
        backups = backups_of_store(connection, None, present)
        schedules = {each.user_id: each for each in all_schedules(connection)}
    for backup in backups:
        schedule = schedules.get(backup.user_id or 0)
        found = lifetime_of_backup(backup, backups, schedule, now)
        yield _holder(backup.filename, backup.position, found)


def _copies(site: Site, now: datetime, destinations: Sequence[Destination]) -> Iterator[Holder]:
    with site.read_models.reading() as connection:
        schedules = all_schedules(connection)
        present = backups_of_store(connection, None, None)
        backups = {each.backup_id: each for each in present}
        copies = {
            each.repository_id: [
                copy
                for copy in copies_at(connection, each.repository_id)
                if copy.status not in _GONE
            ]
            for each in destinations
        }
    for destination in destinations:
        for copy in copies[destination.repository_id]:
            backup = backups.get(copy.backup_id)
            found = lifetime_of_copy(
                destination, copy, copies[destination.repository_id], backup, schedules, now
            )
            position = copy.position if backup is None else backup.position
            yield _holder(f"{copy.filename} at {destination.name}", position, found)


def _published(
    site: Site, destinations: Sequence[Destination], act: Erasure, now: datetime
) -> Iterator[Holder]:
    """The erased records themselves, where they were published before."""
    for destination in destinations:
        size = published_size(site, destination) if site.has_store else None
        if size is None or size < min(act.records):
            continue
        name = f"the ledger at {destination.name}"
        if size < act.position:
            why = "it was not published since: `offsite copy` puts it again"
            yield Holder(name, 0, None, why)
            continue
        days = destination.stated.get("noncurrent_days")
        policy = Policy.of(destination)
        if not policy.versioned:
            continue
        if days is None:
            yield Holder(name, 0, None, "the bucket has versions, and nobody said for how long")
            continue
        gone_by = act.erased_at + policy.lock + timedelta(days=days)
        if gone_by > now:
            yield Holder(name, 0, gone_by, "old versions in the bucket")


def _holder(name: str, position: int, found: Lifetime) -> Holder:
    return Holder(name, position, found.gone_by, found.why)
