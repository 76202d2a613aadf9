"""Many schedulers that wake up in the same moment, with work for all of them."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier

import pytest

from commands.health.presence import Presence
from commands.scheduler import check as scheduler
from commands.scheduler.check import check
from commands.site.site import Site
from tests.commands.world import World


def woken_at_once(
    world: World, schedulers: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> Counter[str]:
    """All check at the same time: how many runs they tried to claim, lost and completed."""
    told: Counter[str] = Counter()

    def count(_event: str, **fields: int) -> None:
        told.update(tried=fields["due"], lost=fields["lost"], completed=fields["completed"])

    monkeypatch.setattr(scheduler, "log_event", count)
    monkeypatch.setattr(scheduler, "CLAIMS_PER_BATCH", batch)
    sites = [world.open("act") for _ in range(schedulers)]
    start = Barrier(schedulers)

    def work(site: Site) -> None:
        start.wait()
        check(site)

    with ExitStack() as stack, ThreadPoolExecutor(schedulers) as threads:
        for site in sites:
            stack.enter_context(Presence(site))
        began = time.monotonic()
        list(threads.map(work, sites))
        told["milliseconds"] = int((time.monotonic() - began) * 1_000)
    return told
