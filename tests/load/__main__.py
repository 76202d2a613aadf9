"""Build a long ledger, serve it, ask it, and say how long the answers took.

    python -m tests.load
    python -m tests.load --events 50000 --users 500 --kept 20
    python -m tests.load --events 1000000 --users 10000 --kept 7 --folder /tmp/big

A folder that is given is kept, and used again. Nothing is asserted: it is for people to read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from ledger.append.software import software_version
from tests.load.place import Size, build

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
    "backups, all that are there": "/database/backups",
    "backups of a user": "/database/backups?user_id=7",
    "runs, newest 100": "/database/runs?limit=100",
    "runs of a user": "/database/runs?limit=100&user_id=7",
    "settings, 100 users": "/database/settings?limit=100",
    "scheduler stats": "/database/scheduler/stats",
    "metrics": "/metrics",
    "console: overview": "/console",
    "console: users, page of 25": "/console?after=5000",
    "console: trouble": "/console/trouble",
    "console: schedules": "/console/schedules",
    "console: schedules by last backup": "/console/schedules?sort=-last",
    "console: schedules of a name": "/console/schedules?user=son+77",
    "console: backups, newest 50": "/console/backups",
    "console: backups by size": "/console/backups?sort=-size",
    "console: backups by user": "/console/backups?sort=user",
    "console: backups by name": "/console/backups?sort=name",
    "console: backups with a name": "/console/backups?name=user77",
    "console: backups of a user": "/console/backups?user=7",
    "console: backups of a name": "/console/backups?user=son+77",
    "console: deleted backups": "/console/backups?status=deleted",
    "console: runs": "/console/runs",
    "console: completed runs": "/console/runs?outcome=completed",
    "console: runs of a user": "/console/runs?user=7",
    "console: restore points": "/console/restore-points",
    "console: restore points of a user": "/console/restore-points?user=7",
    "console: comparing": "/console/compare",
    "console: off-site": "/console/offsite",
    "console: time machine": "/console/time-machine",
    "console: audit page of 100": "/console/audit",
    "console: audit page of a user's type": (
        "/console/audit?user=7&type=backup_catalog.backup_deleted"
    ),
    "console: audit page of failures": "/console/audit?failed=true",
    "console: audit page with a text": "/console/audit?text=user77_",
    "console: projections": "/console/projections",
}


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, int]]:
    """The command itself, in a process of its own; its address and the process's id."""
    program = Path(sys.executable).with_name("backup-ledger")
    command = [str(program), "--database", str(folder / "app.db"), "serve", "--port", "0"]
    settings = os.environ | {"BACKUP_LEDGER_USER_NAME_COLUMN": "name"}
    with subprocess.Popen(
        command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1].removesuffix("/database")
        try:
            yield address, process.pid
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


def cpu_seconds(process: int) -> float:
    """What a process has used so far (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    service: tuple[str, int], size: int, token: str, wanted: argparse.Namespace
) -> Iterator[dict[str, object]]:
    for name, path in PATHS.items():
        if wanted.only not in name:
            continue
        address, process = service
        chosen = path.format(middle=size // 2)
        before = cpu_seconds(process)
        taken = asyncio.run(seconds(address, chosen, wanted.requests, wanted.clients, token))
        yield {
            "name": name,
            "requests": len(taken),
            "p50_ms": round(taken[len(taken) // 2] * 1000, 1),
            "p95_ms": round(taken[int(len(taken) * 0.95)] * 1000, 1),
            "max_ms": round(taken[-1] * 1000, 1),
            "cpu_ms": round((cpu_seconds(process) - before) * 1000 / (len(taken) + 1), 1),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--kept", type=int, default=20, help="backups that each user keeps")
    parser.add_argument("--only", default="", help="what has this in its name")
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--clients", type=int, default=1, help="asking at once")
    parser.add_argument("--folder", type=Path, help="kept, and used again")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = wanted.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        size, token = build(folder, Size(wanted.events, wanted.users, wanted.kept))
        with served(folder) as service:
            rows = measure(service, size, token, wanted)
            if wanted.json:
                found = {"version": software_version(), "events": size, "rows": list(rows)}
                sys.stdout.write(json.dumps(found, indent=2) + "\n")
                return
            sys.stdout.write(f"{size:,} events, {wanted.clients} asking at once\n")
            for row in rows:
                sys.stdout.write(
                    f"{row['name']:36} p50 {row['p50_ms']:>8} ms   p95 {row['p95_ms']:>8} ms   "
                    f"max {row['max_ms']:>8} ms   CPU {row['cpu_ms']:>7} ms\n"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    main()
