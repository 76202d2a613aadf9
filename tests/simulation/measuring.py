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

from sqlalchemy import Engine, func, select

from ledger.clock import ManualClock
from ledger.database import database_url, open_engine
from ledger.events.scheduling import BackupCompleted
from ledger.tables import events
from tests.chaos.machine import Machine
from tests.commands.world import MIDNIGHT, World, make_database
from tests.postgresql_server import running_server
from tests.simulation.model import at_share

LOOK_SECONDS = 0.25
DUE = MIDNIGHT + timedelta(hours=3)


def measured(folder: Path, users: int, numbers: list[int]) -> dict[int, list[float]]:
    """Lateness of each user, sorted, by number of schedulers."""
    with running_server(folder / "server", durable=True) as server:
        url = server.new_database()
        world = World(folder, ManualClock(MIDNIGHT), {"ledger": url, "projections": url})
        make_database(world.database)
        for user in range(1, users + 1):
            world.configure(user)
        world.close()
        engine = open_engine(database_url(url))
        options = {"database": str(world.database), "ledger": url, "projections": url}
        found = {}
        for day, number in enumerate(numbers):
            found[number] = _one_night(engine, options, users, day, number, folder)
        engine.dispose()
    return found


def _one_night(
    engine: Engine, options: dict[str, str], users: int, day: int, number: int, folder: Path
) -> list[float]:
    at = DUE + timedelta(days=day)
    before = completed(engine)
    lateness: list[float] = []
    settings = options | {"at": at.isoformat()}
    with ExitStack() as stack:
        machines = [
            stack.enter_context(Machine(settings, folder / f"log{day}-{each}"))
            for each in range(number)
        ]
        for machine in machines:
            machine.answer(60)
        began = time.monotonic()
        for machine in machines:
            machine.check(at)
        while len(lateness) < users:
            time.sleep(LOOK_SECONDS)
            done = completed(engine) - before
            lateness += [time.monotonic() - began] * (done - len(lateness))
            for machine in machines:
                if machine.is_busy:
                    machine.answer()
                elif len(lateness) < users:
                    machine.check(at)
        for machine in machines:
            if machine.is_busy:
                machine.answer(60)
    return lateness


def completed(engine: Engine) -> int:
    with engine.connect() as connection:
        of_kind = events.c.event_type == BackupCompleted.event_type
        return connection.execute(
            select(func.count()).select_from(events).where(of_kind)
        ).scalar_one()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.measuring")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--schedulers", type=int, nargs="+", default=[1, 2, 4])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), chosen.users, chosen.schedulers)
    for number, lateness in found.items():
        shares = {f"p{share:g}": round(at_share(lateness, share / 100), 1) for share in (50, 99)}
        told = {"schedulers": number, "users": len(lateness), **shares}
        sys.stdout.write(json.dumps(told | {"last": round(lateness[-1], 1)}) + "\n")


if __name__ == "__main__":
    main()
