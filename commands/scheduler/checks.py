"""One check after another: no failure ends them, and what is remembered between them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from commands.audit.sign_checkpoint import AutomaticCheckpoints
from commands.recovery.reconcile import NewFiles
from commands.scheduler.check import CheckReport, check
from commands.scheduler.readiness import Readiness
from commands.scheduler.recording import record_check_failure
from commands.verification.daily_drills import DailyDrills
from ledger.append.database import read_meta
from ledger.errors import LedgerTooNew

if TYPE_CHECKING:
    from threading import Event

    from commands.notifications.thread import NotifierThread
    from commands.site.site import Site

logger = logging.getLogger("backup_ledger.scheduler")


class Checks:
    """The checks of one scheduler, each followed by what is done beside the backups."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.readiness = Readiness(site)
        self._new_files = NewFiles()
        self._checkpoints = AutomaticCheckpoints(site)
        self._drills = DailyDrills(site)

    def watched(self, notifier: NotifierThread, stop: Event) -> CheckReport:
        """One check, with word of it to whoever watches."""
        notifier.signal("start")
        report = self.check(stop)
        # A machine that left the work to others has not done its own.
        is_bad = report.failed or self.readiness.problem is not None
        notifier.signal("failure" if is_bad else "success")
        return report

    def check(self, stop: Event | None = None) -> CheckReport:
        """One check whose failure is recorded and survived.

        Raises:
            LedgerTooNew: newer software has worked on the ledger since; this one must be updated.
        """
        try:
            read_meta(self._site.ledger.engine)
            report = check(self._site, stop, self.readiness, self._new_files)
        except LedgerTooNew:
            raise
        except Exception as error:
            logger.exception("the check for due backups failed")
            record_check_failure(self._site, error)
            report = CheckReport(failed=1)
        self._sign_checkpoint()
        self._drill(stop)
        return report

    def _drill(self, stop: Event | None) -> None:
        """Verify a small share of the backups; a failure is recorded, and stops no backup."""
        try:
            for error in self._drills.drill_share(stop):
                record_check_failure(self._site, error)
        except Exception as error:
            logger.exception("the restore drills failed")
            self._drills.give_up_for_today()
            record_check_failure(self._site, error)

    def _sign_checkpoint(self) -> None:
        """Sign a checkpoint if it is time; a failure is recorded, and stops no backup."""
        try:
            self._checkpoints.sign_when_due()
        except Exception as error:
            logger.exception("the automatic checkpoint failed")
            record_check_failure(self._site, error)
