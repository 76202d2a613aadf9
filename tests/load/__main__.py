"""Build a long ledger, serve it, ask it, and say how long the answers took.

    python -m tests.load
    python -m tests.load --events 1000000 --users 10000 --folder /tmp/big

A folder that is given is kept, and used again. Nothing is asserted: it is for people to read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from commands.site.actors import operator
from commands.site.configuration import Configuration
from commands.site.opening import begin, open_site
from commands.upkeep.tokens import create_token
from ledger.append.database import open_engine
from ledger.append.ledger import Ledger
from ledger.append.software import software_version
from ledger.clock import ManualClock, SystemClock
from tests.benchmarks.years_of_use import FIRST_DAY, YearsOfUse
from tests.commands.world import make_database

PATHS = {
    "audit page of 100": "/database/audit/log?limit=100",
    "audit page, half way": "/database/audit/log?limit=100&cursor={middle}",
    "audit page of a user": "/database/audit/log?limit=100&user_id=7",
    "audit page of a type": "/database/audit/log?limit=100&type=backup_scheduler.backup_completed",
    "audit page of a prefix": "/database/audit/log?limit=100&type=backup_scheduler.",
    "audit page of a user's type": (
        "/database/audit/log?limit=100&user_id=7&type=backup_catalog.backup_deleted"
    ),
    "audit page of failures": "/database/audit/log?limit=100&failed=true",
    "audit page of a stream": "/database/audit/log?limit=100&resource=schedule/7",
    "record by position": "/database/audit/events/{middle}",
    "runs, newest 100": "/database/runs?limit=100",
    "runs of a user": "/database/runs?limit=100&user_id=7",
    "settings, 100 users": "/database/settings?limit=100",
    "scheduler stats": "/database/scheduler/stats",
    "metrics": "/metrics",
    "console: overview": "/console",
    "console: users, page of 25": "/console?after=5000",
    "console: schedules": "/console/schedules",
    "console: backups, newest 50": "/console/backups",
    "console: backups of a user": "/console/backups?user=7",
    "console: runs": "/console/runs",
    "console: audit page of 100": "/console/audit",
}


def build(folder: Path, events: int, users: int) -> tuple[int, str]:
    """A folder with this many events, its read models folded; its size and a token."""
    database = folder / "app.db"
    configuration = Configuration(database=database)
    if not database.exists():
        make_database(database)
        begin(configuration, SystemClock())
        clock = ManualClock(FIRST_DAY)
        ledger = Ledger(open_engine(configuration.ledger_url), clock)
        YearsOfUse(ledger, clock, users).write(events)
        ledger.close()
    site = open_site(configuration, "act")
    token, _ = create_token(site, site.context(operator()), "operator")
    site.catch_up()
    size = site.ledger.log_recorder.head().size
    site.close()
    return size, token


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The command itself, in a process of its own; its address."""
    program = Path(sys.executable).with_name("backup-ledger")
    command = [str(program), "--database", str(folder / "app.db"), "serve", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1].removesuffix("/database")
        try:
            yield address
        finally:
            process.terminate()


async def seconds(address: str, path: str, requests: int, clients: int, token: str) -> list[float]:
    """How long each of so many answers took, in order of length."""
    taken: list[float] = []
    left = iter(range(requests))

    async def ask(client: httpx.AsyncClient) -> None:
        for _ in left:
            before = time.perf_counter()
            answer = await client.get(path)
            taken.append(time.perf_counter() - before)
            answer.raise_for_status()

    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=address, headers=headers, timeout=120, trust_env=False
    ) as client:
        await client.post("/console/login", data={"token": token})  # pages go by the session
        (await client.get(path)).raise_for_status()
        await asyncio.gather(*(ask(client) for _ in range(clients)))
    return sorted(taken)


def measure(
    address: str, size: int, token: str, wanted: argparse.Namespace
) -> Iterator[dict[str, object]]:
    for name, path in PATHS.items():
        chosen = path.format(middle=size // 2)
        taken = asyncio.run(seconds(address, chosen, wanted.requests, wanted.clients, token))
        yield {
            "name": name,
            "requests": len(taken),
            "p50_ms": round(taken[len(taken) // 2] * 1000, 1),
            "p95_ms": round(taken[int(len(taken) * 0.95)] * 1000, 1),
            "max_ms": round(taken[-1] * 1000, 1),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--clients", type=int, default=1, help="asking at once")
    parser.add_argument("--folder", type=Path, help="kept, and used again")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = wanted.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        size, token = build(folder, wanted.events, wanted.users)
        with served(folder) as address:
            rows = list(measure(address, size, token, wanted))
    if wanted.json:
        found = {"version": software_version(), "events": size, "rows": rows}
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return
    sys.stdout.write(f"{size:,} events, {wanted.clients} asking at once\n")
    for row in rows:
        sys.stdout.write(
            f"{row['name']:30} p50 {row['p50_ms']:>8} ms   p95 {row['p95_ms']:>8} ms   "
            f"max {row['max_ms']:>8} ms\n"
        )


if __name__ == "__main__":
    main()
