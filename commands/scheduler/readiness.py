"""Whether this machine can do the work that it is about to claim.

Alone, a scheduler claims first and fails then: every missed backup leaves its record. Among
several, one that has lost its database or its folder would take the work from those who could
do it. So it claims nothing, records why, once, and leaves the work to them.
"""

from __future__ import annotations

import logging
import os
import stat
from typing import TYPE_CHECKING

from commands.errors import CommandError
from commands.health.presence import is_on_server
from ledger.append.ledger import Draft
from ledger.events.scheduling import CheckFailed
from ledger.vocabulary import scheduler_stream

if TYPE_CHECKING:
    from commands.site.site import Site
    from ledger.append.ledger import Context

logger = logging.getLogger("backup_ledger.scheduler")


class NotReady(CommandError, OSError):
    """This machine cannot do what others could."""


class Readiness:
    """Whether a scheduler can work. `problem`: why it could not when it last looked, or None."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.problem: str | None = None

    def defers_to_peers(self, context: Context, others: int) -> bool:
        """Whether this scheduler is to claim nothing now. `others`: how many could do the work.

        Where nobody could, one is as good as another: the claims fail, and leave their record.
        """
        site, before = self._site, self.problem
        self.problem = why_not_ready(site) if is_on_server(site) else None
        if self.problem is None:
            if before is not None:
                logger.warning("ready again; it was not, as %s", before)
            return False
        if not others:
            return False
        if self.problem != before:
            error = NotReady(
                f"nothing is claimed here: {self.problem}; other schedulers do the work"
            )
            logger.error("%s", error)
            details = CheckFailed(error_type=type(error).__name__)
            draft = Draft(scheduler_stream(site.instance), details, error_message=str(error))
            site.notify(site.ledger.append(context, draft))
        return True


def why_not_ready(site: Site) -> str | None:
    """What is missing for a backup, or None. Only looked at, never opened."""
    try:
        mode = os.stat(site.database).st_mode
    except OSError as error:
        return f"the database {site.database} is not there ({error.strerror})"
    if not stat.S_ISREG(mode) or not os.access(site.database, os.R_OK):
        return f"the database {site.database} cannot be read"
    folder = site.store.folder
    try:
        site.store.require_there()
    except OSError as error:
        return str(error)
    staging = site.store.staging
    for each in (folder, staging if staging.exists() else folder):
        if not os.access(each, os.W_OK | os.X_OK):
            return f"nothing can be written in {each}"
    return None
