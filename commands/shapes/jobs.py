"""Jobs as they are shown: what each kind comes to."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from commands.shapes.audit import ExportedEvidence, LedgerVerdict
from commands.shapes.backups import CreatedBackup
from commands.shapes.differences import ComparedBackups, PlannedTables, RestoredTables
from commands.shapes.offsite import CheckedCopies, CollectedShape, MadeCopies
from commands.shapes.problem import JobProblem
from commands.shapes.projections import Comparison, RebuiltShape
from commands.shapes.restore import RestoreResult
from commands.shapes.shape import Shape
from commands.shapes.trouble import DueVerified, RanNowShape, ReconciledShape
from commands.shapes.verification import VerificationShape

State = Literal["queued", "running", "done", "failed"]


class Progress(Shape):
    """How far a job is: what it does now, and how much of it is done."""

    step: str | None
    done: int
    total: int


class JobShape(Shape):
    """`result`: null until it is done; `problem`: null unless it failed."""

    job_id: str
    kind: str
    state: State
    created_at: datetime
    ended_at: datetime | None
    progress: Progress
    result: Any
    problem: JobProblem | None
    has_file: bool


class TakeBackupJob(JobShape):
    kind: Literal["take_backup"]
    result: CreatedBackup | None


class VerifyBackupJob(JobShape):
    kind: Literal["verify_backup"]
    result: VerificationShape | None


class RestoreJob(JobShape):
    kind: Literal["restore"]
    result: RestoreResult | None


class VerifyLedgerJob(JobShape):
    kind: Literal["verify_ledger"]
    result: LedgerVerdict | None


class ExportJob(JobShape):
    kind: Literal["export"]
    result: ExportedEvidence | None


class RebuildJob(JobShape):
    kind: Literal["rebuild"]
    result: list[RebuiltShape] | None


class CompareJob(JobShape):
    kind: Literal["diff"]
    result: Comparison | None


class CopyJob(JobShape):
    kind: Literal["offsite_copy"]
    result: MadeCopies | None


class CheckCopiesJob(JobShape):
    kind: Literal["offsite_verify"]
    result: CheckedCopies | None


class CollectJob(JobShape):
    kind: Literal["offsite_collect"]
    result: CollectedShape | None


class CompareBackupsJob(JobShape):
    kind: Literal["compare"]
    result: ComparedBackups | None


class PlanTablesJob(JobShape):
    kind: Literal["plan_tables"]
    result: PlannedTables | None


class RestoreTablesJob(JobShape):
    kind: Literal["restore_tables"]
    result: RestoredTables | None


class RunNowJob(JobShape):
    kind: Literal["run_now"]
    result: RanNowShape | None


class VerifyDueJob(JobShape):
    kind: Literal["verify_due"]
    result: DueVerified | None


class ReconcileJob(JobShape):
    kind: Literal["reconcile"]
    result: ReconciledShape | None


class RowOutcome(Shape):
    """`name`: a file name, or a user's number. `text`: what was done, or why it was refused."""

    name: str
    ok: bool
    text: str


class ManyRows(Shape):
    """What became of an act on many backups or schedules: a sentence, and each row's outcome."""

    ok: bool
    message: str
    rows: list[RowOutcome]


class BulkBackupsJob(JobShape):
    kind: Literal["bulk_backups"]
    result: ManyRows | None


class BulkSchedulesJob(JobShape):
    kind: Literal["bulk_schedules"]
    result: ManyRows | None


class RestoredBeside(Shape):
    """A backup that was restored into a new file, in a sentence."""

    ok: bool
    message: str


class RestoreBesideJob(JobShape):
    kind: Literal["restore_beside"]
    result: RestoredBeside | None


class MessageSent(Shape):
    """A test message that every target took, in a sentence."""

    ok: bool
    message: str


class NotifyTestJob(JobShape):
    kind: Literal["notify_test"]
    result: MessageSent | None


AnyJob = (
    TakeBackupJob
    | VerifyBackupJob
    | RestoreJob
    | VerifyLedgerJob
    | ExportJob
    | RebuildJob
    | CompareJob
    | CopyJob
    | CheckCopiesJob
    | CollectJob
    | CompareBackupsJob
    | PlanTablesJob
    | RestoreTablesJob
    | RunNowJob
    | VerifyDueJob
    | ReconcileJob
    | BulkBackupsJob
    | BulkSchedulesJob
    | RestoreBesideJob
    | NotifyTestJob
)
"""Every kind; acts on many rows, restoring beside and test messages are of the console alone."""


class JobList(Shape):
    """The newest first."""

    jobs: list[AnyJob]
