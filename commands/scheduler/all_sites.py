"""One scheduler a site, side by side in one process; one site's trouble is never another's.

So many of them copy at once as the sites' `turns` let in (`max_running`).
"""

from __future__ import annotations

import logging
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

from commands.scheduler.process import run_scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from threading import Event

    from commands.scheduler.check import CheckReport
    from commands.site.site import Site

JOIN_SECONDS = 0.5
"""Python handles signals between two of these."""

logger = logging.getLogger("backup_ledger.scheduler")


def run_all_sites(
    openings: Mapping[str, Callable[[], AbstractContextManager[Site]]],
    *,
    stop: Event,
    retry_seconds: float,
    reporter: Callable[[str, Site], Callable[[CheckReport], None] | None] | None = None,
) -> None:
    """Run every site's scheduler until `stop` is set; backups that run are finished first.

    `openings`: what opens each site, and closes it again. A scheduler that fails, or whose site
    cannot be opened, is logged with its site's name and begun anew after `retry_seconds`.
    `reporter`: makes what is told of each of a site's checks.
    """
    threads = [
        Thread(
            target=_keep_running,
            args=(name, opening, stop, retry_seconds, reporter and partial(reporter, name)),
            name=f"scheduler of {name}",
            daemon=True,  # a second signal ends the process at once; recovery does the rest
        )
        for name, opening in openings.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(JOIN_SECONDS)


def _keep_running(
    name: str,
    opening: Callable[[], AbstractContextManager[Site]],
    stop: Event,
    retry_seconds: float,
    reporter: Callable[[Site], Callable[[CheckReport], None] | None] | None,
) -> None:
    while not stop.is_set():
        try:
            with opening() as site:
                run_scheduler(site, stop=stop, on_check=reporter and reporter(site))
        except Exception as error:  # noqa: BLE001  (whatever it is, it is this site's alone)
            logger.error(  # noqa: TRY400  (a line for people, not a traceback)
                "site %s: %s; trying again in %.0f s", name, error, retry_seconds
            )
            stop.wait(retry_seconds)
