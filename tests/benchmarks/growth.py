"""How cost grows: seconds of the processor for each thing, at places of growing size.

    python -m tests.benchmarks.growth
    python -m tests.benchmarks.growth --sizes 1000000 --folder /tmp/places --save growth.json
    python -m tests.benchmarks.growth_picture growth.json

A size is a number of events; a place of a size has a tenth as many backups that are there, and a
hundredth as many users. Folders that are given are kept, and used again. FILE keeps the newest
figure of each thing at each size. Nothing is asserted: it is for people to read.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import log
from pathlib import Path
from statistics import median
from typing import Any

from commands.health.facts import status_facts
from commands.retention.apply import preview_retention
from commands.site.actors import operator
from commands.site.configuration import Configuration
from commands.site.opening import open_site
from commands.site.site import Site
from ledger.append.ledger import Draft
from ledger.events.scheduling import SettingsUpdated
from ledger.verify.verify import verify
from ledger.vocabulary import schedule_stream
from projections.queries.catalog import PRESENT
from projections.queries.due import due_schedules
from projections.queries.lists import BackupsWanted, Order, Wanted, backups_list, count_backups
from tests.benchmarks.offsite_sides import Ours, change, make_database
from tests.load.place import Size, build
from tests.sample_events import sample

EVENTS = (1_000, 10_000, 100_000, 1_000_000)
COPIES = (1, 10, 100)
"""Off-site copies that are there already; each is a process of its own."""
KEPT, EVENTS_PER_USER = 10, 100
ROUNDS = 3
DUE = 10
"""A page of what is due; the smallest place has so many users."""
USER = 3

Points = dict[str, dict[str, float]]
"""By name, then by size: the median over the rounds, in seconds of the processor."""


@dataclass(frozen=True, slots=True)
class Curve:
    """`work`: the power of the size that the work itself grows by. `times`: in a round."""

    label: str
    work: int
    times: int = 1


CURVES = {
    "append": Curve("append, one event", 0, 100),
    "status": Curve("status; each file is looked at", 1),
    "list": Curve("list, the newest 50", 0, 10),
    "verify": Curve("verify, all of the ledger", 1),
    "rebuild": Curve("rebuild, all read models", 1),
    "due_query": Curve("due query, a page of 10", 0, 50),
    "retention": Curve("retention of a user", 0, 10),
    "retention_all": Curve("retention of all", 1),
    "offsite": Curve("off-site copy, by copies there", 0),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=EVENTS, help="numbers of events")
    parser.add_argument("--copies", type=int, nargs="*", default=COPIES, help="off-site")
    parser.add_argument("--folder", type=Path, help="where places are kept, and used again")
    parser.add_argument("--save", type=Path, help="keep the results in this file")
    chosen = parser.parse_args()
    kept = chosen.save is not None and chosen.save.exists()
    points: Points = json.loads(chosen.save.read_text("utf-8")) if kept else {}
    with tempfile.TemporaryDirectory() as temporary:
        places = chosen.folder or Path(temporary)
        for size in sorted(chosen.sizes):
            for name, figure in at_size(places / str(size), size).items():
                points.setdefault(name, {})[str(size)] = figure
            _save(chosen.save, points)
        if chosen.copies:
            points["offsite"] = by_copies(Path(temporary), sorted(chosen.copies))
            _save(chosen.save, points)
    for name, curve in CURVES.items():
        if name in points:
            print(line_of(name, curve, points[name]))


def _save(path: Path | None, points: Points) -> None:
    if path is not None:
        path.write_text(json.dumps(points, indent=2) + "\n", "utf-8")


def line_of(name: str, curve: Curve, points: dict[str, float]) -> str:
    """Its figures, and the power that it grew by from each size to the next."""
    sizes = sorted(points, key=int)
    figures = "  ".join(f"{int(size):,}: {points[size] * 1_000:,.2f} ms" for size in sizes)
    powers = [f"{power:.2f}" for power in powers_of(points)]
    return f"{name:14} {figures}  grows by {', '.join(powers) or '?'} (its work: {curve.work})"


def powers_of(points: dict[str, float]) -> list[float]:
    """From each size to the next: 0 where it costs the same, 1 as the size, 2 as its square."""
    sizes = sorted(points, key=int)
    return [
        log(points[larger] / points[smaller]) / log(int(larger) / int(smaller))
        for smaller, larger in pairwise(sizes)
    ]


def at_size(folder: Path, size: int) -> dict[str, float]:
    """Everything but off-site, at a place of so many events."""
    folder.mkdir(parents=True, exist_ok=True)
    build(folder, Size(size, size // EVENTS_PER_USER, KEPT))
    site = open_site(Configuration(database=folder / "app.db"), "act")
    try:
        return {name: _seconds(work, CURVES[name].times) for name, work in works_of(site).items()}
    finally:
        site.close()


def works_of(site: Site) -> dict[str, Callable[[], Any]]:
    """What is measured; appending is last, since it leaves something behind."""
    context, now = site.context(operator()), site.clock.now()
    which = BackupsWanted(site.store.store_id, PRESENT)
    change_of_user = sample(
        SettingsUpdated, before={"keep_count": 7}, after={"keep_count": 8}, next_backup_at=None
    )

    def list_newest() -> None:
        with site.read_models.reading() as connection:
            number = count_backups(connection, which)
            backups_list(connection, which, Wanted(Order("made", is_falling=True)), number)

    def query_due() -> None:
        with site.read_models.reading() as connection:
            due_schedules(connection, now, DUE)

    return {
        "status": lambda: status_facts(site, now),
        "list": list_newest,
        "verify": lambda: verify(site.ledger.engine),
        "rebuild": lambda: site.read_models.rebuild(None),
        "due_query": query_due,
        "retention": lambda: preview_retention(site, context, KEPT - 1, USER),
        "retention_all": lambda: preview_retention(site, context, KEPT - 1, None),
        "append": lambda: site.ledger.append(
            context, Draft(schedule_stream(USER), change_of_user, USER)
        ),
    }


def by_copies(folder: Path, counts: list[int]) -> dict[str, float]:
    """A copy of a database of 4 MB, of which one percent changed, after so many others."""
    database, ours = folder / "copied.db", Ours(folder / "destination")
    make_database(database, 4)
    made, found = 0, {}
    for count in counts:
        taken = []
        while made < count + ROUNDS:
            change(database, 1, made)
            ours.copy(database)
            made += 1
            if made > count:
                taken.append(ours.cpu_seconds)
        found[str(count)] = median(taken)
    return found


def _seconds(work: Callable[[], Any], times: int) -> float:
    """Of the processor, for doing it once; a first round warms what is kept in memory."""
    taken = []
    for _round in range(ROUNDS + 1):
        gc.collect()
        began = time.process_time()
        for _time in range(times):
            work()
        taken.append((time.process_time() - began) / times)
    return median(taken[1:])


if __name__ == "__main__":
    main()
