"""The scheduler as a process: start, checks at intervals, a clean stop; all recorded."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

from commands.audit.sign_checkpoint import sign_when_due
from commands.errors import message_of
from commands.health.presence import Presence
from commands.notifications.thread import NotifierThread
from commands.recovery.expired_claims import give_up
from commands.scheduler.check import CheckReport, check
from commands.scheduler.offsite_copies import OffsiteThread
from commands.scheduler.wake import Alarm
from commands.site import actors
from commands.verification.daily_drills import drill_share, give_up_for_today
from ledger.append.database import read_meta
from ledger.append.ledger import Draft
from ledger.append.software import software_version
from ledger.errors import LedgerBusy, LedgerTooNew
from ledger.events.scheduling import CheckFailed, SchedulerStarted, SchedulerStopped
from ledger.records.record import cut_text
from ledger.vocabulary import scheduler_stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from commands.site.site import Site
    from ledger.events import Details

logger = logging.getLogger("backup_ledger.scheduler")


def run_scheduler(
    site: Site,
    *,
    once: bool,
    stop: Event,
    on_check: Callable[[CheckReport], None] | None = None,
) -> CheckReport:
    """Check for due work until `stop` is set; a backup that runs is finished first.

    Raises:
        InvalidArgument: a target of notifications is not understood.
    """
    with (
        NotifierThread(site) as notifier,
        Presence(site) as presence,
        Alarm(site, stop) as alarm,
        OffsiteThread(site) as offsite,
    ):
        wait = 0.0 if once else presence.first_check_after()

        def checked_once(report: CheckReport) -> None:
            if on_check is not None:
                on_check(report)
            if once:
                offsite.copy_now()
            else:
                offsite.look()

        return _checks(
            site, notifier, alarm, once=once, stop=stop, on_check=checked_once, wait_seconds=wait
        )


def _checks(
    site: Site,
    notifier: NotifierThread,
    alarm: Alarm,
    *,
    once: bool,
    stop: Event,
    on_check: Callable[[CheckReport], None],
    wait_seconds: float,
) -> CheckReport:
    total = CheckReport()
    record_start(site)
    reason = "stopped"
    try:
        stop.wait(wait_seconds)
        while not stop.is_set():
            report = watched_check(site, notifier, stop)
            total += report
            on_check(report)
            if once:
                reason = "one check was asked for"
                break
            interval = site.configuration.check_interval_seconds
            if report.failed and not report.completed:
                # Whatever failed is still there: its own record must not wake us at once.
                stop.wait(interval)
            else:
                alarm.wait(interval)
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        if isinstance(error, KeyboardInterrupt):
            give_up(site)
        raise
    finally:
        _record_stop_if_possible(site, reason)
    return total


def _record_stop_if_possible(site: Site, reason: str) -> None:
    """A server that is away keeps nobody from stopping; `status` then says that we are gone."""
    try:
        record_stop(site, reason)
    except LedgerBusy:
        logger.exception("that the scheduler stopped could not be recorded")


def watched_check(site: Site, notifier: NotifierThread, stop: Event) -> CheckReport:
    """One check, with word of it to whoever watches."""
    notifier.signal("start")
    report = checked(site, stop)
    # A machine that left the work to others has not done its own.
    is_bad = report.failed or site.not_ready is not None
    notifier.signal("failure" if is_bad else "success")
    return report


def checked(site: Site, stop: Event | None = None) -> CheckReport:
    """One check whose failure is recorded and survived.

    Raises:
        LedgerTooNew: newer software has worked on the ledger since; this one must be updated.
    """
    try:
        read_meta(site.ledger.engine)
        report = check(site, stop)
    except LedgerTooNew:
        raise
    except Exception as error:
        logger.exception("the check for due backups failed")
        record_check_failure(site, error)
        report = CheckReport(failed=1)
    sign_checkpoint_when_due(site)
    drill_when_idle(site, stop)
    return report


def drill_when_idle(site: Site, stop: Event | None = None) -> None:
    """Verify a small share of the backups; a failure is recorded, and stops no backup."""
    try:
        for error in drill_share(site, stop):
            record_check_failure(site, error)
    except Exception as error:
        logger.exception("the restore drills failed")
        give_up_for_today(site)
        record_check_failure(site, error)


def sign_checkpoint_when_due(site: Site) -> None:
    """Sign a checkpoint if it is time; a failure is recorded, and stops no backup."""
    try:
        sign_when_due(site)
    except Exception as error:
        logger.exception("the automatic checkpoint failed")
        record_check_failure(site, error)


def record_check_failure(site: Site, error: Exception) -> None:
    """Record that a check failed; where even that fails, it is logged."""
    try:
        details = CheckFailed(error_type=type(error).__name__)
        _record(site, details, message_of(error))
    except Exception:
        logger.exception("the failed check could not be recorded")


def record_start(site: Site, check_interval_seconds: float | None = None) -> None:
    """Record that a scheduler began, and hold the lock that shows it is alive."""
    site.hold_owner_lock()  # its lock shows that we are alive
    details = SchedulerStarted(
        check_interval_seconds=int(
            check_interval_seconds or site.configuration.check_interval_seconds
        ),
        host=cut_text(socket.gethostname(), 255),
        pid=os.getpid(),
        software_version=software_version(),
    )
    _record(site, details)


def record_stop(site: Site, reason: str) -> None:
    _record(site, SchedulerStopped(reason=cut_text(reason, 1_000)))


def _record(site: Site, details: Details, message: str | None = None) -> None:
    context = site.context(actors.scheduler(site.instance))
    draft = Draft(scheduler_stream(site.instance), details, error_message=message)
    site.announce(site.ledger.append(context, draft))
