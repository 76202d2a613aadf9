"""A ledger as years of daily backups leave it behind: many users, every kind of stream.

Written in bulk: one record of each type is encoded properly, and the others are made from it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from ledger.append.database import create_ledger, database_url, open_engine
from ledger.append.ledger import Ledger, make_event
from ledger.canonical_json import canonical_bytes, parse_json
from ledger.clock import ManualClock, SystemClock, format_instant
from ledger.events import Details
from ledger.events.catalog import BackupCreated, BackupDeleted, DeletionStarted
from ledger.events.retention import RetentionApplied
from ledger.events.scheduling import BackupCompleted, BackupStarted, SettingsCreated
from ledger.records.record import encode_event
from ledger.vocabulary import RETENTION, backup_stream, schedule_stream
from tests.sample_events import CONTEXT, NOW, draft, uuid_of

KEPT = 7
"""Backups that each user keeps; every later one costs an older one."""


FIRST_DAY = datetime(2024, 1, 1, 3, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Use:
    """What the events say beside times: how many are kept, and fields of every backup.

    `publish` and `unlink` are called with the file name of each backup that is made or deleted.
    """

    kept: int = KEPT
    first_day: datetime = FIRST_DAY
    fields: dict[str, Any] = field(default_factory=dict)
    publish: Callable[[str], object] = lambda _filename: None
    unlink: Callable[[str], object] = lambda _filename: None


_EVENT_KINDS = (
    SettingsCreated,
    BackupStarted,
    BackupCreated,
    BackupCompleted,
    RetentionApplied,
    DeletionStarted,
    BackupDeleted,
)


class YearsOfUse:
    """Writes day after day of it; the same one every time."""

    def __init__(
        self, ledger: Ledger, clock: ManualClock, users: int, use: Use | None = None
    ) -> None:
        self._use = use or Use()
        self._ledger = ledger
        self._clock = clock
        self._users = range(1, users + 1)
        self._random = Random(1)
        self._versions: Counter[str] = Counter()
        self._kept: dict[int, list[tuple[str, str]]] = defaultdict(list)
        self._samples: dict[type[Details], dict[str, Any]] = {
            kind: parse_json(encode_event(make_event(CONTEXT, draft(kind), 1, NOW)))
            for kind in _EVENT_KINDS
        }

    def write(self, events: int) -> int:
        """Go on until the ledger has at least so many; how many it then has."""
        size = self._ledger.log_recorder.head().size
        day = self._use.first_day
        while size < events:
            self._clock.move_to(day)
            stored = [each for user in self._users for each in self._day_of(user, day)]
            with self._ledger.log_recorder.locked() as locked:
                size = locked.insert(stored)[-1]
            day += timedelta(days=1)
        return size

    def present(self) -> list[tuple[str, str]]:
        """Backup id and file name of what was not deleted."""
        return [each for kept in self._kept.values() for each in kept]

    def _day_of(self, user: int, day: datetime) -> Iterator[StoredEvent]:
        schedule, now = schedule_stream(user), format_instant(day)
        later = format_instant(day + timedelta(days=1))
        if day == self._use.first_day:
            yield self._event(SettingsCreated, schedule, user, now, next_backup_at=later)
        run = self._uuid()
        yield self._event(BackupStarted, schedule, user, now, run, slot=now)
        backup_id = self._uuid()
        name = f"auto_backup_user{user}_{day:%Y-%m-%dT%H-%M-%S}.db"
        stream = backup_stream(backup_id)
        made = self._use.fields | {"run_id": run, "filename": name}
        yield self._event(BackupCreated, stream, user, now, **made)
        self._use.publish(name)
        self._kept[user].append((backup_id, name))
        yield self._event(RetentionApplied, f"{RETENTION}/{user}", user, now, scope=str(user))
        if len(self._kept[user]) > self._use.kept:
            gone, filename = self._kept[user].pop(0)
            oldest, store = backup_stream(gone), self._use.fields.get("store")
            where = {} if store is None else {"store": store, "filename": filename}
            yield self._event(DeletionStarted, oldest, user, now, **where)
            yield self._event(BackupDeleted, oldest, user, now, **where)
            self._use.unlink(filename)
        ended = {"run_id": run, "backup_id": backup_id, "filename": name, "next_backup_at": later}
        ended |= {each: made[each] for each in ("sha256", "size") if each in made}
        yield self._event(BackupCompleted, schedule, user, now, slot=now, **ended)

    def _event(
        self,
        kind: type[Details],
        stream: str,
        user: int,
        timestamp: str,
        event_id: str | None = None,
        **details: Any,
    ) -> StoredEvent:
        self._versions[stream] += 1
        sample = self._samples[kind]
        fields = sample | {
            "details": sample["details"] | details,
            "event_id": event_id or self._uuid(),
            "resource_id": stream.rpartition("/")[2],
            "stream": stream,
            "stream_version": self._versions[stream],
            "timestamp": timestamp,
            "user_id": str(user),
        }
        return StoredEvent(stream, self._versions[stream], kind.event_type, canonical_bytes(fields))

    def _uuid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))


def years_of_use(path: Path, events: int) -> int:
    """Make a ledger of at least so many events; how many it has."""
    engine = open_engine(database_url(f"sqlite:///{path}"))
    create_ledger(engine, uuid_of(1), NOW)
    clock = ManualClock(NOW)
    ledger = Ledger(engine, clock)
    written = YearsOfUse(ledger, clock, max(20, events // 700)).write(events)
    ledger.close()
    return written


def opened_ledger(path: Path) -> Ledger:
    """One that is there."""
    return Ledger(open_engine(database_url(f"sqlite:///{path}")), SystemClock())
