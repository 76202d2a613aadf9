"""Telling people: what happened is read from the ledger, and that it was told is recorded there."""

from __future__ import annotations

import logging
import shutil
import socket
from datetime import timedelta
from typing import TYPE_CHECKING

from commands.errors import InvalidArgument
from commands.health.facts import verdict_of
from commands.health.finding import Finding
from commands.health.verdict import Verdict
from commands.notifications import state as topics
from commands.notifications.incident import Incident
from commands.notifications.incidents import (
    LOW_SPACE_REMINDER,
    STATUS,
    Message,
    digest_due,
    digest_of,
    low_space,
    message_of,
    overdue,
)
from commands.notifications.last_digest import keep_digest, last_digest
from commands.notifications.offsite_incidents import Waiting, late_copies
from commands.notifications.queue import NotificationQueue
from commands.notifications.scan import IncidentScan
from commands.notifications.targets import Targets
from projections.queries.catalog import backup_with_id
from projections.queries.offsite import all_destinations, backups_without_copy
from projections.queries.schedules import all_schedules, count_schedules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from commands.notifications.state import Notification
    from commands.site.site import Site
    from projections.folds.backup import Backup

logger = logging.getLogger("backup_ledger.notifications")


class Notifier:
    """Looks at what was appended since it last looked, and sends what a person should know.

    Raises:
        InvalidArgument: a target is not understood, or apprise is not installed.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._settings = site.configuration
        self._targets = Targets(self._settings.notify_urls)
        self._queue = NotificationQueue(site)
        self._scan = IncidentScan(site.ledger, self._settings.notify_topics, self._backup_of)

    @property
    def has_targets(self) -> bool:
        return len(self._targets) > 0

    def look(self) -> None:
        """Queue and send whatever is to be told now. The first look at a ledger only begins."""
        if not self.has_targets:
            return
        self._queue.catch_up()
        if self._queue.state.cursor is None:
            self._begin()
            return
        now = self._site.clock.now()
        for each in self._queue.state.to_be_tried(now):
            claimed = self._queue.take_over(each)
            if claimed is not None:
                self._send(claimed, self._made_anew(claimed))
        self._tell_incidents(now)
        self._tell(topics.OVERDUE, self._overdue(now))
        self._tell(topics.LOW_SPACE, self._low_space(now))

    def preview(self) -> Message | None:
        """What would be told now; nothing is sent or recorded."""
        self._queue.catch_up()
        now = self._site.clock.now()
        cursor = self._queue.state.cursor
        untold = [] if cursor is None else self._scan.after(cursor)[0]
        found = [*untold, *self._overdue(now), *self._low_space(now)]
        return message_of(found, self._place(), self._console) if found else None

    def test(self) -> dict[str, str]:
        """Send a test message; what went wrong, by target.

        Raises:
            InvalidArgument: there is no target.
        """
        if not self.has_targets:
            raise InvalidArgument("there is nobody to tell; set notify_urls in backup-ledger.toml")
        self._queue.catch_up()
        end = self._site.ledger.log_recorder.head().size
        queued = self._queue.add(topics.TEST, 1, (end, end), lambda: True)
        return self._send(queued, self._test_message()) if queued else {}

    def _begin(self) -> None:
        """From here on: nobody wants to be told of what happened before they asked."""
        end = self._site.ledger.log_recorder.head().size
        state = self._queue.state
        self._queue.add(topics.BEGINNING, 0, (end, end), lambda: state.cursor is None)

    def _tell_incidents(self, now: datetime) -> None:
        state = self._queue.state
        cursor = state.cursor or 0
        found, last = self._scan.after(cursor)
        at = self._settings.notify_digest_at
        if at is None:
            topic, is_time = topics.INCIDENTS, bool(found)
        else:
            newest = state.newest.get(topics.DIGEST, state.newest.get(topics.BEGINNING))
            topic, is_time = topics.DIGEST, digest_due(now, newest, at)
        if not is_time:
            return
        positions = (min(cursor + 1, last), last)
        claimed = self._queue.add(
            topic, len(found), positions, lambda: self._queue.state.cursor == cursor
        )
        if claimed is not None:
            self._send(claimed, self._told(topic, found, is_new=True))

    def _tell(self, topic: str, found: Sequence[Incident]) -> None:
        if not found:
            return
        newest = self._queue.state.newest.get(topic)
        end = self._site.ledger.log_recorder.head().size
        claimed = self._queue.add(
            topic,
            len(found),
            (end, end),
            lambda: self._queue.state.newest.get(topic) == newest,
        )
        if claimed is not None:
            self._send(claimed, self._told(topic, found))

    def _overdue(self, until: datetime, *, again: bool = False) -> list[Incident]:
        after = None if again else self._queue.state.newest.get(topics.OVERDUE)
        wanted, found = self._settings.notify_topics, list[Incident]()
        if "overdue" in wanted:
            patience = timedelta(hours=self._settings.overdue_after_hours)
            with self._site.read_models.reading() as connection:
                found += overdue(all_schedules(connection), after, until, patience)
        if "offsite" in wanted:
            patience = timedelta(hours=self._settings.offsite_overdue_hours)
            found += late_copies(self._waiting_for_copies(), after, until, patience)
        return found

    def _waiting_for_copies(self) -> list[Waiting]:
        if not self._site.has_store:
            return []
        found, store = [], self._site.store.store_id
        with self._site.read_models.reading() as connection:
            for each in all_destinations(connection):
                missing = (
                    backups_without_copy(connection, store, each.repository_id)
                    if each.is_attached
                    else []
                )
                if missing:
                    found.append(Waiting(each.name, len(missing), missing[0].created_at))
        return found

    def _low_space(self, now: datetime, *, again: bool = False) -> list[Incident]:
        limit = self._settings.low_space_mb
        last = None if again else self._queue.state.newest.get(topics.LOW_SPACE)
        if not limit or "low_space" not in self._settings.notify_topics:
            return []
        if last is not None and now < last + LOW_SPACE_REMINDER:
            return []
        folder = str(self._settings.backups_folder)
        return low_space(shutil.disk_usage(folder).free, limit, folder)

    def _made_anew(self, claimed: Notification) -> Message:
        """The message of an earlier try, as things stand now."""
        if claimed.topic == topics.TEST:
            return self._test_message()
        if claimed.topic == topics.OVERDUE:
            found = self._overdue(claimed.first_queued_at, again=True)
        elif claimed.topic == topics.LOW_SPACE:
            found = self._low_space(claimed.first_queued_at, again=True)
        else:
            found = self._scan.between(claimed.first_position, claimed.last_position)
        return self._told(claimed.topic, found)

    def _told(self, topic: str, found: Sequence[Incident], *, is_new: bool = False) -> Message:
        if topic == topics.DIGEST or not found:
            verdict = self._verdict()
            digest = last_digest(self._site.ledger.engine)
            if is_new:  # another try of the same digest says the same
                digest = digest.followed_by(verdict.findings)
                keep_digest(self._site.ledger.engine, digest)
            return digest_of(
                found, self._place(), self._facts(), verdict, self._console, gone=digest.gone
            )
        return message_of(found, self._place(), self._console)

    def _test_message(self) -> Message:
        text = "This is only a test: messages about backups arrive here."
        return Message(f"Backups of {self._place()}: a test", text)

    def _send(self, claimed: Notification, message: Message) -> dict[str, str]:
        only = claimed.failed_targets  # those that took an earlier try are left in peace
        failed = self._targets.send(message, only)
        self._queue.record_outcome(claimed, len(only) or len(self._targets), failed)
        return failed

    @property
    def _console(self) -> str | None:
        address = self._settings.console_url
        return None if address is None else f"{address.rstrip('/')}/console"

    def _backup_of(self, backup_id: str) -> Backup | None:
        with self._site.read_models.reading() as connection:
            return backup_with_id(connection, backup_id)

    def _facts(self) -> dict[str, str]:
        with self._site.read_models.reading() as connection:
            enabled, total = count_schedules(connection)
        size = self._site.ledger.log_recorder.head().size
        return {"Schedules": f"{enabled} enabled of {total}", "Ledger": f"{size} events"}

    def _verdict(self) -> Verdict:
        """That of `status`; where it cannot be had, that is what has to be told."""
        try:
            return verdict_of(self._site, self._site.clock.now())
        except Exception as error:  # the digest goes out all the same
            logger.exception("status could not be made for the digest")
            text = f"status could not be made: {error}"
            return Verdict((Finding("status", text, f"see: {STATUS}", is_bad=True),))

    def _place(self) -> str:
        database = self._settings.database
        name = self._settings.backups_folder.name if database is None else database.name
        if self._settings.site is not None:
            name = f"site {self._settings.site} ({name})"
        return f"{name} on {socket.gethostname()}"
