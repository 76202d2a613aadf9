"""Long stories: events in an order that could happen, or at least that folds must bear."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from random import Random

from hypothesis import strategies as st

from ledger.append.ledger import Draft, Ledger
from ledger.events import Details
from ledger.events.catalog import (
    BackupCorrupt,
    BackupCreated,
    BackupDeleted,
    BackupFound,
    BackupMissing,
    BackupVerified,
    DeletionStarted,
    HoldPlaced,
    HoldReleased,
)
from ledger.events.housekeeping import SourceOptimized
from ledger.events.offsite import (
    CopyCompleted,
    CopyFailed,
    CopyStarted,
    DestinationAdded,
    PacksMissing,
)
from ledger.events.retention import RetentionApplied
from ledger.events.scheduling import (
    BackupAbandoned,
    BackupCompleted,
    BackupFailed,
    BackupStarted,
    SchedulePaused,
    ScheduleResumed,
    SettingsCreated,
    SettingsRejected,
    SettingsUpdated,
    SlotsMissed,
)
from ledger.vocabulary import (
    LEVELS,
    backup_stream,
    copy_stream,
    destination_stream,
    schedule_stream,
)
from tests.sample_events import CONTEXT, SLOT, draft, uuid_of

USERS, BACKUPS, RUNS = 3, 6, 8
OFFSITE = tuple(
    draft(kind, stream(uuid_of(700 + number)))
    for number in range(4)
    for kind, stream in (
        (DestinationAdded, destination_stream),
        (CopyStarted, copy_stream),
        (CopyCompleted if number else CopyFailed, copy_stream),
        (PacksMissing, destination_stream),
    )
)
"""Destinations and copies, of which a story has some from the beginning."""
Step = tuple[int, int, int]
steps = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 7), st.integers(0, 9)), max_size=45)


def random_steps(seed: int, count: int) -> list[Step]:
    random = Random(seed)
    return [(random.randrange(20), random.randrange(8), random.randrange(10)) for _ in range(count)]


def drafts_of(steps: Iterable[Step]) -> list[Draft]:
    """The story that steps tell: nothing is born twice, everything else may come at any time."""
    born: set[str] = set()
    drafts = []
    for kind, number, twist in steps:
        told = _TOLD[kind](number, twist)
        key = f"{told.stream}{told.event_id if isinstance(told.details, BackupStarted) else ''}"
        if isinstance(told.details, SettingsCreated | BackupCreated | BackupFound | BackupStarted):
            if key in born:
                continue
            born.add(key)
        drafts.append(told)
    return drafts


def tell(ledger: Ledger, seed: int = 1, count: int = 90) -> int:
    """Append a story; where the ledger then ends."""
    drafts = drafts_of(random_steps(seed, count))
    return ledger.append(CONTEXT, *OFFSITE, *drafts)[-1].position


def births_aside(seed: int, count: int = 9) -> list[Draft]:
    """Events to append after another story, in which everything was born already."""
    births = (SettingsCreated, BackupCreated, BackupFound, BackupStarted)
    drafts = drafts_of(random_steps(seed, 5 * count))
    return [each for each in drafts if not isinstance(each.details, births)][:count]


def _on_schedule(kind: type[Details], **fields: Callable[[int], object]) -> _Teller:
    def tell(number: int, twist: int) -> Draft:
        values = {name: make(twist) for name, make in fields.items()}
        user = number % USERS + 1
        return draft(kind, schedule_stream(user), owner=user, **values)

    return tell


def _on_backup(kind: type[Details], **fields: Callable[[int], object]) -> _Teller:
    def tell(number: int, twist: int) -> Draft:
        values = {name: make(twist) for name, make in fields.items()}
        if kind in (BackupCreated, BackupFound):
            values["filename"] = f"{number % BACKUPS}.db"
        return draft(
            kind, backup_stream(uuid_of(number % BACKUPS)), owner=twist % 2 or None, **values
        )

    return tell


def _claim(number: int, twist: int) -> Draft:
    run = uuid_of(500 + number % RUNS)
    return draft(
        BackupStarted, schedule_stream(number % USERS + 1), event_id=run, attempt=twist % 6 + 1
    )


def _run_end(kind: type[Details]) -> _Teller:
    def tell(number: int, twist: int) -> Draft:
        values = {
            "next_backup_at": _when(twist),
            "next_slot": _when(twist),
            "attempt": twist % 6 + 1,
        }
        run = uuid_of(500 + number % RUNS)
        return draft(kind, schedule_stream(number % USERS + 1), run_id=run, **values)

    return tell


def _when(twist: int) -> object:
    return None if twist == 0 else SLOT + timedelta(hours=5 * twist)


def _other(kind: type[Details]) -> _Teller:
    return lambda _number, _twist: draft(kind)


_Teller = Callable[[int, int], Draft]
_TOLD: tuple[_Teller, ...] = (
    _on_schedule(
        SettingsCreated, next_backup_at=_when, next_slot=_when, enabled=lambda twist: twist > 2
    ),
    _on_schedule(
        SettingsUpdated,
        after=lambda twist: {"keep_count": twist + 1, "backup_time": f"0{twist}:00"},
        next_backup_at=_when,
        next_slot=_when,
    ),
    _on_schedule(SettingsRejected),
    _on_schedule(SchedulePaused, next_backup_at=_when, next_slot=_when),
    _on_schedule(ScheduleResumed, next_backup_at=_when, next_slot=_when),
    _on_schedule(SlotsMissed),
    _claim,
    _run_end(BackupCompleted),
    _run_end(BackupFailed),
    _run_end(BackupAbandoned),
    _on_backup(BackupCreated, run_id=lambda twist: uuid_of(500 + twist) if twist else None),
    _on_backup(BackupFound, status=lambda twist: "ok" if twist % 2 else "corrupt"),
    _on_backup(BackupMissing),
    _on_backup(BackupVerified, level=lambda twist: LEVELS[twist % 4]),
    _on_backup(BackupCorrupt, found_sha256=lambda twist: None if twist % 3 else "ef" * 32),
    _on_backup(DeletionStarted),
    _on_backup(BackupDeleted),
    _on_backup(HoldPlaced, hold_id=uuid_of),
    _on_backup(HoldReleased, hold_id=uuid_of),
    lambda number, twist: _other(RetentionApplied if twist % 2 else SourceOptimized)(number, twist),
)
