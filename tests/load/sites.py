"""Fifty databases in one process: how long a check, `status` and the overview of all take.

    python -m tests.load.sites
    python -m tests.load.sites --sites 3 --users 20

Nothing is asserted: it is for people to read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx

from commands.health.facts import status_facts
from commands.http.sites.application import create_sites_app
from commands.http.sites.served_sites import ServedSites
from commands.scheduler.checks import Checks
from commands.site.actors import operator
from commands.site.configuration import Configuration
from commands.site.opening import begin, open_site
from commands.site.sites import Sites, open_sites, site_configurations
from commands.upkeep.tokens import create_token
from ledger.append.database import open_engine
from ledger.append.ledger import Ledger
from ledger.clock import ManualClock
from tests.benchmarks.years_of_use import FIRST_DAY, YearsOfUse
from tests.commands.world import make_database
from tests.http.in_process import client_of

EVENTS_PER_USER = 3
LOOKS = 40


def build(folder: Path, sites: int, users: int) -> tuple[Configuration, ManualClock]:
    """So many sites with so many users each, and a moment after the last event of all."""
    names = [f"site{number}" for number in range(1, sites + 1)]
    whole = Configuration(
        sites={name: {"database": str(folder / name / "app.db")} for name in names}
    )
    latest = FIRST_DAY
    for name, configuration in site_configurations(whole).items():
        (folder / name).mkdir(parents=True)
        make_database(configuration.database_path)
        clock = ManualClock(FIRST_DAY)
        begin(configuration, clock)
        ledger = Ledger(open_engine(configuration.ledger_url), clock)
        YearsOfUse(ledger, clock, users).write(users * EVENTS_PER_USER)
        ledger.close()
        latest = max(latest, clock.now())
        open_site(configuration, "act", clock=clock).close()
    return whole, ManualClock(latest + timedelta(seconds=1))


def timed(name: str, looks: int, work: Callable[[], object]) -> dict[str, object]:
    taken = []
    for _look in range(looks):
        before = time.perf_counter()
        work()
        taken.append((time.perf_counter() - before) * 1_000)
    taken.sort()
    return {
        "name": name,
        "looks": looks,
        "p50_ms": round(taken[len(taken) // 2], 1),
        "p95_ms": round(taken[int(len(taken) * 0.95)], 1),
        "max_ms": round(taken[-1], 1),
    }


def measured(
    folder: Path, sites: int, users: int, looks: int = LOOKS
) -> Iterator[dict[str, object]]:
    """A row for each thing that is asked of all sites."""
    whole, clock = build(folder, sites, users)
    with open_sites(whole, "act", clock=clock) as opened:
        checks = [Checks(site) for site in opened.sites.values()]
        for each in checks:
            each.check()
        yield timed(
            f"check of {sites} sites, nothing due", 5, lambda: [each.check() for each in checks]
        )
        yield timed(f"status of {sites} sites", 3, lambda: status_of_all(opened, clock))
        token: str | None = None
        for site in opened.sites.values():
            token, _made = create_token(site, site.context(operator()), "operator", text=token)
    openings = {
        name: partial(open_site, each, "act", clock=clock)
        for name, each in site_configurations(whole).items()
    }
    served = ServedSites(openings, clock=clock, prefix="/database")
    try:
        client = client_of(create_sites_app(served))
        assert token is not None
        answer = client.post("/console/login", data={"token": token})
        client.cookies.set("backup_ledger_session", answer.cookies["backup_ledger_session"])
        yield timed("overview of all, the first", 1, lambda: shown(client, "/console"))
        yield timed("overview of all", looks, lambda: shown(client, "/console"))
        yield timed("overview of one site", looks, lambda: shown(client, "/sites/site1/console"))
    finally:
        served.close()


def status_of_all(opened: Sites, clock: ManualClock) -> None:
    for site in opened.sites.values():
        status_facts(site, clock.now())


def shown(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text


def main() -> None:
    """Build, measure, print; the folder goes away again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=50)
    parser.add_argument("--users", type=int, default=1_000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for row in measured(Path(folder), wanted.sites, wanted.users):
            print(json.dumps(row), flush=True)  # noqa: T201  (a report for a person)


if __name__ == "__main__":
    main()
