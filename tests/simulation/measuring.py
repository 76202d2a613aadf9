"""Real schedulers with a real server: ten thousand users who are due at the same time.

python -m tests.simulation.measuring [--users N] [--schedulers 1 2 4]

The processes and the server share one machine. Each number of schedulers has a day of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from sqlalchemy import ColumnElement, func, select, true

from ledger.append.database import database_url, open_engine
from ledger.append.ledger import Draft
from ledger.append.tables import events
from ledger.clock import ManualClock
from ledger.events.scheduling import BackupCompleted, SettingsCreated
from ledger.vocabulary import schedule_stream
from tests.chaos.machine import Machine
from tests.commands.world import MIDNIGHT, World, make_database
from tests.postgresql_server import Server, running_server
from tests.sample_events import sample
from tests.simulation.model import at_share

LOOK_SECONDS = 0.1
DUE = MIDNIGHT + timedelta(hours=3)
SETTINGS_AT_ONCE = 1_000


class Office:
    """Users who are all due at three in the morning, their ledger and read models on a server."""

    def __init__(self, server: Server, folder: Path, users: int) -> None:
        self._folder, self._users = folder, users
        url = server.new_database()
        world = World(folder, ManualClock(MIDNIGHT), {"ledger": url, "projections": url})
        make_database(world.database)
        site = world.open()
        for first in range(1, users + 1, SETTINGS_AT_ONCE):
            some = range(first, min(first + SETTINGS_AT_ONCE, users + 1))
            site.notify(site.ledger.append(world.context(), *map(due_at_three, some)))
        world.close()
        self._options = {"database": str(world.database), "ledger": url, "projections": url}
        self._engine = open_engine(database_url(url))
        self._nights = 0

    def night(self, schedulers: int) -> list[float]:
        """The next one with so many schedulers: each user's lateness in seconds, sorted."""
        at = DUE + timedelta(days=self._nights)
        logs = self._folder / f"night{self._nights}-"
        self._nights += 1
        before = self.completed()
        lateness: list[float] = []
        with ExitStack() as stack:
            machines = [
                stack.enter_context(
                    Machine(self._options | {"at": at.isoformat()}, Path(f"{logs}{each}"))
                )
                for each in range(schedulers)
            ]
            for machine in machines:
                machine.answer(60)
            began = time.monotonic()
            for machine in machines:
                machine.check(at)
            while len(lateness) < self._users:
                time.sleep(LOOK_SECONDS)
                done = self.completed() - before
                lateness += [time.monotonic() - began] * (done - len(lateness))
                for machine in machines:
                    if machine.is_busy:
                        machine.answer()
                    elif len(lateness) < self._users:
                        machine.check(at)
            for machine in machines:
                if machine.is_busy:
                    machine.answer(60)
        return lateness

    def completed(self) -> int:
        return self._count(events.c.event_type == BackupCompleted.event_type)

    def size(self) -> int:
        """Events in the ledger."""
        return self._count(true())

    def close(self) -> None:
        self._engine.dispose()

    def _count(self, condition: ColumnElement[bool]) -> int:
        with self._engine.connect() as connection:
            counted = select(func.count()).select_from(events).where(condition)
            return connection.execute(counted).scalar_one()


def due_at_three(user_id: int) -> Draft:
    details = sample(SettingsCreated, frequency="daily", next_backup_at=DUE, next_slot=DUE)
    return Draft(schedule_stream(user_id), details, user_id)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.measuring")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--schedulers", type=int, nargs="+", default=[1, 2, 4])
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder) / "server", durable=True) as server,
    ):
        office = Office(server, Path(folder), chosen.users)
        for number in chosen.schedulers:
            lateness = office.night(number)
            shares = {
                f"p{share:g}": round(at_share(lateness, share / 100), 1) for share in (50, 99)
            }
            told = {"schedulers": number, "users": len(lateness), **shares}
            sys.stdout.write(json.dumps(told | {"last": round(lateness[-1], 1)}) + "\n")
            sys.stdout.flush()
        office.close()


if __name__ == "__main__":
    main()
