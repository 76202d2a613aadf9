"""Work that takes longer than a request: started, watched, and kept for a while.

A job is a command like any other: what it did is in the ledger. The board itself is only memory,
and forgets with the process.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from commands.errors import CommandError
from commands.http.advice import over_http
from commands.http.problems import answer_to, status_of
from commands.http.shapes import JOB, Located
from commands.reporting.json_values import as_json
from commands.shapes.jobs import JobShape, Progress, State
from commands.shapes.problem import JobProblem
from ledger.masking import masked

if TYPE_CHECKING:
    from commands.http.callers import Caller
    from ledger.clock import Clock

Tell = Callable[[str, int, int], None]
"""Told (step, done, in all) while a job runs."""
Work = Callable[[Tell], Any]
AT_ONCE = 2
KEPT = 200
MAX_WAITING = 50
MAX_OWN = 4
CAN_BE_ENDED = ("verify_ledger", "rebuild", "bulk_backups", "bulk_schedules")
"""Kinds that change nothing half-way, or go on from there the next time."""


class TooManyJobs(CommandError):
    """So many are waiting that another one would only wait longer."""

    exit_code = 5


@dataclass
class Job:
    """One piece of work. `file`: what it made, to be fetched."""

    kind: str
    caller: Caller
    created_at: datetime
    job_id: str = field(default_factory=lambda: str(uuid4()))
    state: State = "queued"
    step: str | None = None
    done: int = 0
    total: int = 0
    result: Any = None
    problem: dict[str, Any] | None = None
    ended_at: datetime | None = None
    file: Path | None = None

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "failed")

    def shape(self) -> dict[str, Any]:
        """As it is shown."""
        shown = JobShape(
            job_id=self.job_id,
            kind=self.kind,
            state=self.state,
            created_at=self.created_at,
            ended_at=self.ended_at,
            progress=Progress(step=self.step, done=self.done, total=self.total),
            result=self.result,
            problem=self._problem_over_http(),
            has_file=self.file is not None,
        )
        found: dict[str, Any] = as_json(shown)
        return found

    def _problem_over_http(self) -> JobProblem | None:
        if self.problem is None:
            return None
        return JobProblem(status=self.problem["status"], detail=over_http(self.problem["detail"]))


def started(job: Job) -> Located:
    """The answer to whoever started a job."""
    return Located(job.shape(), 202, JOB, job_id=job.job_id)


class JobQueue:
    """Jobs of one process; two run at once, the newest two hundred are kept.

    `shown_to`: a sentence as a caller gets it.
    """

    def __init__(self, clock: Clock, shown_to: Callable[[Caller, str], str]) -> None:
        self._clock = clock
        self._shown_to = shown_to
        self._jobs: dict[str, Job] = {}
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="backup-ledger-job")
        self._folder: Path | None = None
        self._closing = False

    def start(self, kind: str, caller: Caller, work: Callable[[Job, Tell], Any]) -> Job:
        """Queue a piece of work.

        Raises:
            TooManyJobs: fifty are waiting already, or four of a caller who is not an operator.
        """
        job = Job(kind, caller, self._clock.now())
        with self._lock:
            own = sum(not each.is_over and each.caller == caller for each in self._jobs.values())
            if caller.role != "operator" and own >= MAX_OWN:
                raise TooManyJobs(f"{MAX_OWN} jobs of yours are not over yet; wait for one")
            if sum(not each.is_over for each in self._jobs.values()) >= MAX_WAITING:
                raise TooManyJobs(f"{MAX_WAITING} jobs are waiting; try again later")
            self._jobs[job.job_id] = job
            self._forget()
        self._threads.submit(self._run, job, work)
        return job

    def of(self, caller: Caller) -> list[Job]:
        """What a caller may see, newest first."""
        with self._lock:
            found = list(self._jobs.values())
        return [each for each in reversed(found) if caller.role != "user" or each.caller == caller]

    def find(self, job_id: str, caller: Caller) -> Job | None:
        return next((each for each in self.of(caller) if each.job_id == job_id), None)

    def new_file(self, name: str) -> Path:
        """A path for something that a job makes; gone with the process."""
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="backup-ledger-"))
        return self._folder / f"{uuid4().hex}-{name}"

    def close(self) -> None:
        self._closing = True
        self._threads.shutdown(wait=True, cancel_futures=True)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, job: Job, work: Callable[[Job, Tell], Any]) -> None:
        def tell(step: str, done: int, total: int) -> None:
            if self._closing and job.kind in CAN_BE_ENDED:
                raise CommandError("the service was stopped; start the job again")
            job.step, job.done, job.total = step, done, total

        job.state = "running"
        try:
            job.result = self._shown(job.caller, as_json(work(job, tell)))
        except Exception as error:  # noqa: BLE001  (it is what the job came to)
            job.problem = self._shown(job.caller, problem_shape(error))
            job.ended_at, job.state = self._clock.now(), "failed"
        else:
            job.ended_at, job.state = self._clock.now(), "done"

    def _shown(self, caller: Caller, value: Any) -> Any:
        """JSON with each sentence as the caller gets it."""
        if isinstance(value, str):
            return self._shown_to(caller, value)
        if isinstance(value, dict):
            return {name: self._shown(caller, each) for name, each in value.items()}
        if isinstance(value, list):
            return [self._shown(caller, each) for each in value]
        return value

    def _forget(self) -> None:
        over = [each for each in self._jobs.values() if each.is_over]
        for each in over[: max(0, len(self._jobs) - KEPT)]:
            del self._jobs[each.job_id]
            if each.file is not None:
                each.file.unlink(missing_ok=True)


def problem_shape(error: Exception) -> dict[str, Any]:
    """What is said of an error: its status, and a sentence without secrets."""
    if isinstance(error, CommandError):
        return {"status": status_of(error), "detail": masked(str(error))}
    import json  # noqa: PLC0415

    found: dict[str, Any] = json.loads(bytes(answer_to(error).body))
    return {"status": found["status"], "detail": found["detail"]}
