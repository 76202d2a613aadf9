"""The scheduler's looks at copies: once a day what is due; a drill where an identity is here."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from commands.errors import CommandError
from commands.offsite.destinations import live_destinations
from commands.offsite.errors import CopyStopped
from commands.offsite.keys import configured_identities
from commands.offsite.watching.verify_due import verify_due
from commands.offsite.worker.pace import is_open

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.site.site import Site
    from ledger.append.ledger import Context

logger = logging.getLogger("backup_ledger.offsite")


def check_due(site: Site, context: Context, stop: Callable[[], bool]) -> None:
    """Look at the copies that are due, at each destination; its trouble is logged, damage recorded.

    `stop` is asked while a copy is looked at; what was not looked at is due the next time.
    """
    identities = configured_identities(site)
    for destination in live_destinations(site):
        if not destination.is_attached or not is_open(destination, site.clock.now()):
            continue

        def watch(*_: int) -> None:
            if stop():
                raise CopyStopped("the scheduler was stopped; the copy will be verified again")

        try:
            for checked in verify_due(
                site,
                context,
                destination,
                identities=identities,
                on_progress=watch,
                on_fetch=watch,
            ):
                if checked.problem is not None:
                    logger.error(
                        "copy of %s at %s %s: %s",
                        checked.copy.filename,
                        destination.name,
                        "was not looked at" if checked.unopened else "is damaged",
                        checked.problem,
                    )
        except CopyStopped:
            return
        except CommandError as error:
            logger.warning("copies at %s were not verified: %s", destination.name, error)
