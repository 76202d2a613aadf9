"""What runs now: runs of the scheduler, wherever it runs, and jobs of this process."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from commands.health.roster import holds
from commands.http.console.page import BASE
from commands.http.console.watching.job_outcome import kind_of
from commands.reporting.json_values import as_json
from ledger.vocabulary import RunOutcome
from projections.queries.schedules import runs_page

if TYPE_CHECKING:
    from datetime import datetime

    from commands.http.callers import Caller
    from commands.http.jobs import Job
    from commands.http.served_site import ServedSite
    from commands.site.site import Site
    from projections.folds.run import Run

SHOWN = 20
"""Runs; a herd of a thousand users shares one snapshot, and so one progress."""


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work. `total`: 0 where nobody knows how much there is to do.

    `done` and `total` count what the step counts: bytes, events or rows.
    """

    id: str
    title: str
    where: str
    begun_at: datetime
    step: str = ""
    done: int = 0
    total: int = 0

    def shape(self) -> dict[str, Any]:
        """As the stream tells it."""
        return {**asdict(self), "begun_at": as_json(self.begun_at)}


def running_work(served: ServedSite, caller: Caller) -> list[Work]:
    """What a caller may see of it: jobs first, then runs, the newest first."""
    jobs = [work_of_job(each) for each in served.jobs.of(caller) if not each.is_over]
    with served.site.read_models.reading() as connection:
        runs, _more = runs_page(
            connection, caller.user_id, RunOutcome.RUNNING, before=None, limit=SHOWN
        )
    return jobs + works_of_runs(served.site, runs)


def work_of_job(job: Job) -> Work:
    step = "waits for its turn" if job.state == "queued" else job.step or ""
    where = f"{BASE}/jobs/{job.job_id}"
    title = kind_of(job).title
    return Work(job.job_id, title, where, job.created_at, step, job.done, job.total)


def works_of_runs(site: Site, runs: list[Run]) -> list[Work]:
    """Runs that have not ended, each as far as the file shows that its owner stages.

    So it is seen of a scheduler in any process that shares the folder. Once all bytes are there,
    they are checked, which nobody counts.
    """
    if not runs:
        return []
    owners = {run_id: each.scheduler for run_id, each in holds(site).items()}
    sizes: dict[str | None, tuple[str, int, int]] = {None: ("waits for its scheduler", 0, 0)}
    works = []
    for run in runs:
        owner = owners.get(run.run_id)
        if owner not in sizes:
            sizes[owner] = _staged(site, str(owner))
        title, where = f"Backup of user {run.user_id}", f"{BASE}/runs/{run.run_id}"
        works.append(Work(run.run_id, title, where, run.started_at, *sizes[owner]))
    return works


def _staged(site: Site, owner: str) -> tuple[str, int, int]:
    """The step that an owner is at, bytes done, and bytes in all."""
    database = site.configuration.database
    if database is None or not site.has_store:
        return "", 0, 0
    try:
        total = database.stat().st_size
        staged = [each for each in site.store.staged_files() if each.parent.name == owner]
        done = sum(each.stat().st_size for each in staged if each.name != "lock")
    except OSError:  # it is over, or its database is not there
        return "", 0, 0
    if done < total:
        return "copy", done, total
    return "check", 0, 0
