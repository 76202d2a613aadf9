"""The chaos run: machines with clocks of their own, days that pass in seconds, and faults."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from commands.errors import FolderOfAnother
from commands.recovery.reconcile import reconcile
from commands.scheduler.checks import Checks
from commands.schedules.settings import configure
from commands.site import actors
from commands.site.configuration import Configuration
from commands.site.opening import open_site
from commands.site.site import Site
from commands.site.store import make_folder, make_store
from ledger.append.tables import leases
from ledger.clock import ManualClock
from ledger.errors import LedgerError
from projections.tables.columns import backup_settings as settings
from tests.chaos.aftermath import (
    DAY,
    Slot,
    Story,
    require_each_slot_once,
    require_folder_is_catalog,
    require_rebuilt_alike,
    require_sound,
)
from tests.chaos.machine import Machine
from tests.chaos.scheduler_program import FREEZABLE, SharedMachineClock
from tests.commands.world import MIDNIGHT, make_database
from tests.postgresql_server import Server

STEP = timedelta(hours=6)
LEASE_SECONDS = 5
ANSWER_SECONDS = 180.0
HARM_WHILE_WAITING = 0.04
"""Fifty times a second; most of it does nothing."""

SKEWS_HOURS = (0.0, 5.0, -7.0, 0.5, -0.5, 11.0)
JUMPS_DAYS = (-400, 800)
"""Beyond the year of the storm, so that a slot of a wrong year is none of those that count."""

MAX_FOREIGN_FILES = 3
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.5"
)


@dataclass
class Storm:
    """One run. `server`: None on SQLite, where the machines are processes on one machine."""

    folder: Path
    server: Server | None
    schedulers: int = 6
    users: int = 2_000
    stores: int = 2
    seed: int = 1
    claims_per_batch: int = 200
    faults: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.now = MIDNIGHT
        self.frozen_until: dict[int, float] = {}
        self.database = make_database(self.folder / "app.db")
        self.url = self.server.new_database() if self.server else None
        if self.server is None:
            self.stores = 1
        self.other = make_database(self.folder / "billing.db", rows=3)
        self.foreign: set[Path] = set()
        self.sites = [self._site(number) for number in range(self.stores)]

    def run(self, seconds: float, days: int = 10_000) -> None:
        """Days with faults, for so long, one at least; then peace, and what must be true."""
        end = time.monotonic() + seconds
        self._configure()
        with ExitStack() as stack:
            machines = [stack.enter_context(self._machine(each)) for each in range(self.schedulers)]
            while self.now < MIDNIGHT + min(1, days) * DAY or (
                time.monotonic() < end and self.now < MIDNIGHT + days * DAY
            ):
                self._pass_time(machines)
            self._calm_down(machines)
        for site in self.sites:
            self._recover(site)

    def close(self) -> None:
        for site in self.sites:
            site.close()

    def require_whole(self) -> dict[str, Any]:
        """Everything that must hold; the run's numbers."""
        site = self.sites[0]
        require_sound(site.ledger)
        require_rebuilt_alike(site)
        story = Story.of(site.ledger).between(MIDNIGHT, self.now)
        require_each_slot_once(story, self._slots())
        assert all(path.exists() for path in self.foreign)
        present = sum(require_folder_is_catalog(each) for each in self.sites)
        attempts = Counter(end for ends in story.outcomes.values() for end in ends)
        return {
            "days": (self.now - MIDNIGHT).days,
            "events": site.ledger.log_recorder.head().size,
            "slots completed": len(story.completed),
            "slots missed": len(story.missed),
            "slots given up": len(story.given_up - story.missed.keys()),
            "attempts": dict(attempts),
            "faults": dict(self.faults),
            "checks": dict(self.checks),
            "backups present": present,
        }

    def _settings(self, number: int) -> dict[str, Any]:
        chosen: dict[str, Any] = {
            "database": str(self.database),
            "backups": str(self.folder / f"backups{number % self.stores}"),
            "lease_seconds": LEASE_SECONDS,
        }
        return chosen | ({"ledger": self.url, "projections": self.url} if self.url else {})

    def _site(self, number: int) -> Site:
        chosen = self._settings(number)
        if number:
            make_folder(Path(chosen["backups"]))
            make_store(Path(chosen["backups"]))
        return open_site(
            Configuration(**chosen),
            "act" if number else "begin",
            clock=SharedMachineClock(self.now),
        )

    def _machine(self, number: int) -> Machine:
        skew = SKEWS_HOURS[number % len(SKEWS_HOURS)] * 3_600
        more = {"clock_offset_seconds": skew, "claims_per_batch": self.claims_per_batch}
        return Machine(
            self._settings(number) | more | {"at": self.now.isoformat(), "idle_writer_seconds": 2},
            self.folder / f"machine{number}.log",
        )

    def _configure(self) -> None:
        """Most at three in the morning, the others anywhen."""
        site = self.sites[0]
        context = site.context(actors.operator())
        for user in range(1, self.users + 1):
            hour = 3 if user % 2 else self.random.randrange(24)
            configure(site, context, user, {"backup_time": f"{hour:02}:00", "keep_count": 2})

    def _pass_time(self, machines: list[Machine]) -> None:
        """A few hours: some machines check, and something goes wrong meanwhile."""
        self.now += STEP
        for each in machines:
            self._collect(each)
            if not (each.is_busy or each.is_frozen) and self.random.random() < 3 / 4:
                step = (
                    self.random.choice(list(FREEZABLE)) if self.random.random() < 1 / 12 else None
                )
                self.faults["frozen at a step"] += step is not None
                self._tell(each, step)
        began = time.monotonic()
        until = began + self.random.uniform(0.2, 1.0)
        while time.monotonic() < until:
            self._do_harm(machines)
            time.sleep(self.random.uniform(0.02, 0.2))
        self._thaw_some(machines)
        # Nobody waits for the slowest: it goes on while the next hours pass. But not for ever.
        deadline = began + ANSWER_SECONDS
        while sum(each.is_busy for each in machines) > len(machines) // 2:
            self._thaw_some(machines)
            for each in machines:
                self._collect(each)
            assert time.monotonic() < deadline, "the schedulers do not come to an end"
            if self.random.random() < HARM_WHILE_WAITING:
                self._do_harm(machines)
            time.sleep(0.02)

    def _do_harm(self, machines: list[Machine]) -> None:
        victim = self.random.choice(machines)
        dice = self.random.random()
        if dice < 0.03:
            self.faults["kill -9"] += 1
            self.frozen_until.pop(id(victim), None)
            victim.kill(self.now)
        elif dice < 0.06 and not victim.is_frozen:
            self.faults["SIGSTOP"] += 1
            victim.freeze()
        elif dice < 0.09 and self.server is not None:
            self.faults["connections cut"] += 1
            self.server.run(CUT.replace("current_database()", f"'{self._database_name()}'"))
        elif dice < 0.093 and self.server is not None:
            mode = self.random.choice(("fast", "immediate"))
            self.faults[f"server restarted ({mode})"] += 1
            self.server.restart(mode)
        elif 0.1 < dice < 0.11:
            self.faults["clock jumped"] += 1
            days = self.random.choice(JUMPS_DAYS)
            victim.settings["clock_offset_seconds"] = days * DAY.total_seconds()
        elif 0.12 < dice < 0.2:
            skew = self.random.choice(SKEWS_HOURS)
            victim.settings["clock_offset_seconds"] = skew * 3_600
        elif 0.2 < dice < 0.22:
            self._bring_another_database()

    def _bring_another_database(self) -> None:
        """Somebody uses the folder for it, and is refused; and copies a backup of it there."""
        chosen = self._settings(0) | {"database": str(self.other)}
        try:
            open_site(Configuration(**chosen), "begin", clock=SharedMachineClock(self.now)).close()
        except FolderOfAnother:
            self.faults["another database"] += 1
        except (LedgerError, SQLAlchemyError):
            return  # the server is just not there
        else:
            raise AssertionError("another database was let into the folder")
        if len(self.foreign) < MAX_FOREIGN_FILES:
            folder = self.random.choice(self.sites).store.folder
            copied = Path(shutil.copy(self.other, self.folder / "copied"))
            self.foreign.add(copied.rename(folder / f"billing{len(self.foreign)}.db"))

    def _thaw_some(self, machines: list[Machine]) -> None:
        """Those that stood for long enough; some for longer than a lease lasts."""
        now = time.monotonic()
        for each in machines:
            if each.is_busy and not each.is_frozen and each.has_frozen_itself():
                each.is_frozen = True
            if each.is_frozen:
                length = self.random.choice((0.3, 1.0, LEASE_SECONDS + 1.5))
                if now > self.frozen_until.setdefault(id(each), now + length):
                    del self.frozen_until[id(each)]
                    each.thaw()

    def _tell(self, machine: Machine, freeze: str | None = None) -> None:
        try:
            machine.check(self.now, freeze)
        except BrokenPipeError:
            machine.require_alive()

    def _collect(self, machine: Machine) -> None:
        answer = machine.answer() if machine.is_busy else None
        if answer is not None and "completed" in answer:
            self.checks["checks"] += 1
            self.checks.update(answer)

    def _calm_down(self, machines: list[Machine]) -> None:
        """All awake and with true clocks; they check until nothing is open or due."""
        for each in machines:
            each.thaw()
        self._wait_for(machines)
        for each in machines:
            each.settings["clock_offset_seconds"] = 0
            each.kill(self.now)
        self._wait_for(machines)
        for _ in range(60):
            self.now += timedelta(hours=1)
            for each in machines:
                self._tell(each)
            self._wait_for(machines)
            if not any(self._left_over()):
                break
            time.sleep(LEASE_SECONDS / 10)
        for each in machines:
            each.stop()

    def _wait_for(self, machines: list[Machine]) -> None:
        for each in machines:
            deadline = time.monotonic() + ANSWER_SECONDS
            while each.is_busy:
                if each.has_frozen_itself():
                    each.is_frozen = True
                    each.thaw()
                answer = each.answer(wait_seconds=0.2)
                if answer is not None and "completed" in answer:
                    self.checks.update(answer)
                assert time.monotonic() < deadline, "a scheduler does not come to an end"

    def _left_over(self) -> Iterator[int]:
        """Leases; users who are due; and those who wait for another attempt."""
        site = self.sites[0]
        with site.ledger.engine.connect() as connection:
            yield connection.execute(select(func.count()).select_from(leases)).scalar_one()
        with site.read_models.reading() as connection:
            waiting = or_(settings.c.next_backup_at <= self.now, settings.c.next_attempt > 1)
            yield connection.execute(select(func.count()).where(waiting)).scalar_one()

    def _recover(self, site: Site) -> None:
        assert isinstance(site.clock, ManualClock)
        site.clock.move_to(self.now)
        Checks(site).check()
        reconcile(site, site.context(actors.operator()))

    def _slots(self) -> Iterator[Slot]:
        """Each user's slots that have come, by the true time."""
        site = self.sites[0]
        with site.read_models.reading() as connection:
            rows = connection.execute(select(settings.c.user_id, settings.c.backup_time)).all()
        for user, backup_time in rows:
            slot = MIDNIGHT + timedelta(hours=int(backup_time[:2]))
            slot += DAY * (slot <= MIDNIGHT)
            while slot <= self.now:
                yield user, slot
                slot += DAY

    def _database_name(self) -> str:
        assert self.url is not None
        return self.url.partition("?")[0].rpartition("/")[2]


def chaos(
    folder: Path, server: Server | None, *, seconds: float, days: int = 10_000, **options: Any
) -> dict[str, Any]:
    """One storm from beginning to end; its numbers. What it left is removed where all held."""
    folder.mkdir(parents=True, exist_ok=True)
    storm = Storm(folder, server, **options)
    try:
        storm.run(seconds, days)
        numbers = storm.require_whole()
    finally:
        storm.close()
    shutil.rmtree(folder)
    return numbers
