"""The scheduler's loop: start, checks at intervals, a clean stop; all recorded."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from commands.health.presence import Presence
from commands.notifications.thread import NotifierThread
from commands.recovery.expired_claims import give_up
from commands.scheduler.check import CheckReport
from commands.scheduler.checks import Checks
from commands.scheduler.offsite_copies import OffsiteThread
from commands.scheduler.recording import record_start, record_stop
from commands.scheduler.wake import Waker
from commands.scheduler.witnessing import WitnessThread
from ledger.errors import LedgerBusy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Event

    from commands.site.site import Site

logger = logging.getLogger("backup_ledger.scheduler")


def run_scheduler(
    site: Site,
    *,
    stop: Event,
    once: bool = False,
    interval_seconds: float | None = None,
    is_awaited: bool = False,
    on_check: Callable[[CheckReport], None] | None = None,
) -> CheckReport:
    """Check for due work until `stop` is set; a backup that runs is finished first.

    `interval_seconds`: between two checks; None: as configured. `is_awaited`: somebody waits for
    the first check, so it is not put off where many schedulers of a server start together.

    Raises:
        InvalidArgument: a target of notifications is not understood.
    """
    checks, total = Checks(site), CheckReport()
    interval = interval_seconds or site.configuration.check_interval_seconds
    with (
        NotifierThread(site) as notifier,
        Presence(site, lambda: checks.readiness.problem) as presence,
        Waker(site, stop) as alarm,
        OffsiteThread(site) as offsite,
        WitnessThread(site) as witnesses,
        _recorded(site, interval, once=once),
    ):
        if not (once or is_awaited):
            stop.wait(presence.first_check_after(interval))
        while not stop.is_set():
            report = checks.watched(notifier, stop)
            total += report
            if on_check is not None:
                on_check(report)
            if once:
                witnesses.ask_now()
                offsite.copy_now()
                break
            witnesses.look()
            offsite.look()
            if report.failed and not report.completed:
                # Whatever failed is still there: its own record must not wake us at once.
                stop.wait(interval)
            else:
                alarm.wait(interval)
    return total


@contextmanager
def _recorded(site: Site, interval_seconds: float, *, once: bool) -> Iterator[None]:
    """Record that the scheduler began and, with the reason, that it ended."""
    record_start(site, interval_seconds)
    reason = "one check was asked for" if once else "stopped"
    try:
        yield
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        if isinstance(error, KeyboardInterrupt):
            give_up(site)
        raise
    finally:
        _record_stop_if_possible(site, reason)


def _record_stop_if_possible(site: Site, reason: str) -> None:
    """A server that is away keeps nobody from stopping; `status` then says that we are gone."""
    try:
        record_stop(site, reason)
    except LedgerBusy:
        logger.exception("that the scheduler stopped could not be recorded")
