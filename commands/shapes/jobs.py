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
    | JobShape
)
"""A kind that no route starts (a page of the console does) is shown as the last one."""


class JobList(Shape):
    """The newest first."""

    jobs: list[AnyJob]
