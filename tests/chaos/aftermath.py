"""What must be true once nobody is at work any more, whatever was done to the schedulers."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from commands.site.site import Site
from ledger.append.leases_and_names import all_leases
from ledger.append.ledger import Ledger
from ledger.events import Details
from ledger.events.catalog import BackupCreated
from ledger.events.scheduling import (
    BackupAbandoned,
    BackupCompleted,
    BackupFailed,
    BackupStarted,
    SlotsMissed,
)
from ledger.verify.verify import verify
from projections.projector.comparison import differences
from projections.queries.catalog import backups_of_store

Slot = tuple[int, datetime]
DAY = timedelta(days=1)
YEAR = 365 * DAY


@dataclass
class Story:
    """The runs of a ledger: what became of each claim and of each slot."""

    owners: dict[str, str] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    created: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    completed: Counter[Slot] = field(default_factory=Counter)
    missed: Counter[Slot] = field(default_factory=Counter)
    attempts: Counter[tuple[Slot, int]] = field(default_factory=Counter)
    passed_over: set[Slot] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    _expected: dict[int, datetime] = field(default_factory=dict)
    _was_ahead: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, ledger: Ledger) -> Story:
        """Read it all; what contradicts itself is a problem."""
        story = cls()
        for recorded in ledger.recorded():
            event, details = recorded.event, recorded.event.details
            user = int(event.user_id) if event.user_id else 0
            story._follow(user, details)
            if isinstance(details, BackupStarted):
                story.owners[event.event_id] = details.scheduler
                slot = story.slots[event.event_id] = (user, details.slot)
                story.attempts[slot, details.attempt] += 1
            elif isinstance(details, BackupCreated) and details.run_id:
                story._add_created(details.run_id, recorded.position, event.actor.id)
            elif isinstance(details, BackupCompleted | BackupFailed | BackupAbandoned):
                story._add_outcome(details, recorded.position)
            elif isinstance(details, SlotsMissed):
                for number in range(details.count):
                    story.missed[user, details.first_slot + number * DAY] += 1
        return story

    def _follow(self, user: int, details: Details) -> None:
        """Slots that a clock ahead by years passed over: its jump is their record."""
        slot: datetime | None = getattr(details, "next_slot", None)
        expected = self._expected.setdefault(user, slot) if slot is not None else None
        if slot is None or expected is None or expected - slot > YEAR:
            return
        if slot - expected > YEAR:
            self._was_ahead.add(user)
            return
        if user in self._was_ahead:
            self._was_ahead.remove(user)
            while expected < slot:
                self.passed_over.add((user, expected))
                expected += DAY
        self._expected[user] = slot

    def between(self, first: datetime, last: datetime) -> Story:
        """Without slots of other times: a clock that jumped by years ran those too."""
        self.slots = {run: slot for run, slot in self.slots.items() if first <= slot[1] <= last}
        for slots in (self.completed, self.missed):
            for slot in [each for each in slots if not first <= each[1] <= last]:
                del slots[slot]
        for slot, attempt in [each for each in self.attempts if not first <= each[0][1] <= last]:
            del self.attempts[slot, attempt]
        return self

    def _add_created(self, run_id: str, position: int, actor: str) -> None:
        if self.outcomes[run_id]:
            self.problems.append(f"{position}: a backup of run {run_id}, which was over")
        if run_id in self.created:
            self.problems.append(f"{position}: a second backup of run {run_id}")
        if self.owners.get(run_id) != actor:
            self.problems.append(f"{position}: a backup by {actor}, who did not claim {run_id}")
        self.created[run_id] = position

    def _add_outcome(
        self, details: BackupCompleted | BackupFailed | BackupAbandoned, position: int
    ) -> None:
        run_id = details.run_id
        self.outcomes[run_id].append(type(details).__name__)
        if isinstance(details, BackupCompleted):
            self.completed[self.slots[run_id]] += 1
            if run_id not in self.created:
                self.problems.append(f"{position}: run {run_id} is done, without a backup")
        if isinstance(details, BackupAbandoned) and run_id in self.created:
            self.problems.append(f"{position}: run {run_id} has a backup, and was abandoned")

    @property
    def given_up(self) -> set[Slot]:
        """Slots that were tried, and whose last attempt is recorded as failed or abandoned."""
        return set(self.slots.values()) - set(self.completed)


def require_each_slot_once(story: Story, wanted: Iterable[Slot]) -> None:
    """Each slot was run once; or it is recorded as missed, or each of its attempts as failed."""
    _require_none("contradictions", story.problems)
    _require_none("slots done twice", [one for one, times in story.completed.items() if times > 1])
    _require_none("attempts twice", [one for one, times in story.attempts.items() if times > 1])
    _require_none("two ends", [run for run, ends in story.outcomes.items() if len(ends) > 1])
    _require_none("runs without an end", [run for run in story.owners if not story.outcomes[run]])
    known = story.completed.keys() | story.missed.keys() | story.given_up | story.passed_over
    _require_none("slots of which nothing is known", sorted(set(wanted) - known))
    both = story.completed.keys() & story.missed.keys()
    _require_none("slots done and missed", sorted(both))


def _require_none(what: str, found: Sequence[object]) -> None:
    assert not found, f"{what}: {len(found)}, such as {found[:5]}"


def require_sound(ledger: Ledger) -> None:
    """The ledger verifies, and no lease is left."""
    report = verify(ledger.engine)
    _require_none("findings", report.findings)
    with ledger.engine.connect() as connection:
        _require_none("leases", all_leases(connection))


def require_rebuilt_alike(site: Site) -> None:
    """The read models are what the ledger adds up to."""
    site.catch_up()
    _require_none("differences", differences(site.read_models, site.ledger))


def require_folder_is_catalog(site: Site) -> int:
    """What is in the folder is what the catalog says, byte for byte; nothing is staged."""
    with site.read_models.reading() as connection:
        present = backups_of_store(connection, site.store.store_id)
    found = {path.name for path in site.store.folder.glob("*.db")}
    assert found == {each.filename for each in present}
    digests: dict[int, str] = {}
    for each in present:
        path = site.store.path(each.filename)
        inode = path.stat().st_ino
        if inode not in digests:
            digests[inode] = hashlib.sha256(path.read_bytes()).hexdigest()
        assert digests[inode] == each.sha256, each.filename
    staged = [path for path in site.store.staging.rglob("*") if path.is_file()]
    assert [path for path in staged if path.name != "lock"] == []
    return len(present)
