"""The schedules of runs that are being ended, as of the locked head."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from commands.retention.periods import Keep
from ledger.vocabulary import schedule_stream
from projections.folds.schedule import Schedule, evolve_schedule
from projections.queries.locked import events_after, position_of
from projections.queries.schedules import schedules_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from commands.site.site import Site
    from ledger.append.recorder import LockedHead

DEFAULT_KEEP_COUNT = 7


@dataclass(frozen=True, slots=True)
class RunSchedules:
    """Schedules by user as a read model has them, and the position where that stands."""

    known: dict[int, Schedule]
    position: int

    @classmethod
    def of(cls, site: Site, user_ids: Collection[int]) -> Self:
        with site.read_models.reading(at_head=False) as connection:
            return cls(schedules_of(connection, user_ids), position_of(connection))

    def keep_count(self, user_id: int) -> int:
        """How many backups a user keeps; the default where the settings are gone."""
        return self.known[user_id].keep_count if user_id in self.known else DEFAULT_KEEP_COUNT

    def keep(self, user_id: int) -> Keep:
        """What stays beside that count."""
        return Keep.of(self.known[user_id]) if user_id in self.known else Keep()

    def under(self, locked: LockedHead) -> dict[int, Schedule]:
        """The same with what was appended since."""
        users = {schedule_stream(user_id): user_id for user_id in self.known}
        schedules = dict(self.known)
        for _, event in events_after(locked, self.position):
            user_id = users.get(event.stream)
            if user_id is not None:
                # A copy: the fold changes what it is given, and a decision may be made again.
                evolved = evolve_schedule(replace(schedules[user_id]), event)
                if evolved is not None:
                    schedules[user_id] = evolved
        return schedules
