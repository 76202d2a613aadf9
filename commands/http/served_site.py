"""What the routes work on: an open site, its jobs and its requests that may be repeated."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import Depends, Request

from commands.backups.unrecorded import unrecorded_files
from commands.health.facts import verdict_of
from commands.health.presence import present_among
from commands.http.advice import without_folders
from commands.http.callers import caller_of
from commands.http.daily_counts import History
from commands.http.downloads import Downloads
from commands.http.idempotency import IdempotencyStore
from commands.http.jobs import JobQueue
from commands.http.limits import CallerLimits
from commands.site.actors import SYSTEM
from projections.queries.audit import newest_matching_resources

if TYPE_CHECKING:
    from commands.backups.unrecorded import UnrecordedFile
    from commands.health.verdict import Verdict
    from commands.http.callers import Caller
    from commands.site.site import Site
    from ledger.append.ledger import Context

MAX_BODY_BYTES = 64 * 1024
VERDICT_SECONDS = 10.0
STATE = "backup_ledger_state"
"""In a request's scope: what a mounted console has instead of an application's state."""


@dataclass
class ServedSite:
    """One site as it is served. `scheduler_runs`: whether one runs in this process.

    `opened_by`: who would close the site when nobody refers to it any more.
    """

    site: Site
    scheduler_runs: Callable[[], bool] = lambda: False
    metrics_open: bool = False
    opened_by: object = None
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.jobs = JobQueue(self.site.clock, self.shown_to)
        self.downloads = Downloads(self.site.clock)
        self.requests = IdempotencyStore(self.site)
        self.history = History(self.site)
        self._verdict: tuple[int, float, Verdict] | None = None
        self._files: tuple[int, int, list[UnrecordedFile]] | None = None
        self._verdict_lock = threading.Lock()
        self.limits = CallerLimits(self.site)

    def shown_to(self, caller: Caller, text: str) -> str:
        """A sentence as the caller gets it: a user learns no path of the server, names alone."""
        if caller.user_id is None:
            return text
        site = self.site
        folders = [str(site.database.parent)] if site.configuration.database else []
        if site.configuration.names_a_folder:
            folders.append(str(site.configuration.backups_folder))
        return without_folders(text, tuple(folders))

    def asking(self) -> Context:
        """The context of a question: it has a time, and records nothing."""
        return self.site.context(SYSTEM)

    def is_scheduler_alive(self) -> bool:
        """Whether a scheduler of this site runs, here or in another process."""
        if self.scheduler_runs():
            return True
        with self.site.read_models.reading() as connection:
            started = newest_matching_resources(connection, "backup_scheduler.start", 20)
            stopped = newest_matching_resources(connection, "backup_scheduler.stop", 20)
        return bool(present_among(self.site, [each for each in started if each not in stopped]))

    def recent_verdict(self) -> Verdict:
        """That of `status`, made anew after each event, and otherwise every ten seconds.

        It looks at every file of the folder: whoever asks often gets no more work done.
        """
        with self._verdict_lock:
            head, now = self.site.ledger.log_recorder.head().size, self.site.clock.monotonic()
            known = self._verdict
            if known is None or known[0] != head or now - known[1] > VERDICT_SECONDS:
                known = head, now, verdict_of(self.site, self.site.clock.now())
                self._verdict = known
            return known[2]

    def files_unrecorded(self) -> list[UnrecordedFile]:
        """Files without an entry, looked for anew after each event and each change of the folder.

        Every name is looked at: that takes a while where there are very many.
        """
        try:
            changed = self.site.store.folder.stat().st_mtime_ns
        except OSError:
            return []
        head = self.site.ledger.log_recorder.head().size
        known = self._files
        if known is None or known[:2] != (head, changed):
            known = self._files = head, changed, unrecorded_files(self.site)
        return known[2]

    def close(self) -> None:
        """Drop what waits, end what can be ended, and wait for the rest."""
        self.stopping.set()
        self.jobs.close()
        self.history.close()


def state_of(request: Request) -> Any:
    """`served`, `clock` and `door` of what is asked: a mounted console, else the application."""
    return request.scope.get(STATE) or request.app.state


def served_by_app(request: Request) -> ServedSite:
    """What the application, or the mounted console, that is asked serves."""
    return cast("ServedSite", state_of(request).served)


def served_site_of(request: Request) -> ServedSite:
    caller_of(request)  # both are set together, or neither
    return cast("ServedSite", request.state.backup_ledger)


Served = Annotated[ServedSite, Depends(served_site_of)]
