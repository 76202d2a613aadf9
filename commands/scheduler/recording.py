"""What a scheduler records of itself: that it began, ended, and could not check."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

from commands.errors import message_of
from commands.site import actors
from ledger.append.ledger import Draft
from ledger.append.software import software_version
from ledger.events.scheduling import CheckFailed, SchedulerStarted, SchedulerStopped
from ledger.records.record import cut_text
from ledger.vocabulary import scheduler_stream

if TYPE_CHECKING:
    from commands.site.site import Site
    from ledger.events import Details

logger = logging.getLogger("backup_ledger.scheduler")


def record_start(site: Site, interval_seconds: float | None = None) -> None:
    """Record that a scheduler began, and hold the lock that shows it is alive."""
    site.hold_owner_lock()
    details = SchedulerStarted(
        check_interval_seconds=int(interval_seconds or site.configuration.check_interval_seconds),
        host=cut_text(socket.gethostname(), 255),
        pid=os.getpid(),
        software_version=software_version(),
    )
    _record(site, details)


def record_stop(site: Site, reason: str) -> None:
    _record(site, SchedulerStopped(reason=cut_text(reason, 1_000)))


def record_check_failure(site: Site, error: Exception) -> None:
    """Record that a check failed; where even that fails, it is logged."""
    try:
        details = CheckFailed(error_type=type(error).__name__)
        _record(site, details, message_of(error))
    except Exception:
        logger.exception("the failed check could not be recorded")


def _record(site: Site, details: Details, message: str | None = None) -> None:
    context = site.context(actors.scheduler(site.instance))
    draft = Draft(scheduler_stream(site.instance), details, error_message=message)
    site.notify(site.ledger.append(context, draft))
