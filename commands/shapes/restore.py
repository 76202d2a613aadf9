"""What a restore would do, as it is shown."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Self

from commands.shapes.backups import BackupMetadataResponse
from commands.shapes.shape import Shape

if TYPE_CHECKING:
    from commands.restore.plan import RestorePlan


class ErasureShape(Shape):
    """Personal data that was erased, and by which request."""

    ticket: str
    erased_at: datetime
    position: int

    @classmethod
    def all_of(cls, plan: RestorePlan) -> list[Self]:
        """What was erased since the backup was made, and may come back with it."""
        return [cls.model_validate(each) for each in plan.erasures]


class PlanShape(Shape):
    """`source_path`: where the database was that the backup is of. `is_foreign`: another one.

    `warning`: what is known against restoring this backup.
    """

    backup_id: str
    filename: str
    target: str
    mode: str
    reason: str | None
    keeps_current: bool
    needed_bytes: int
    source_path: str | None
    is_foreign: bool
    erasures: list[ErasureShape]
    warning: str | None = None

    @classmethod
    def of(cls, plan: RestorePlan) -> Self:
        return cls(
            backup_id=plan.backup.backup_id,
            filename=plan.backup.filename,
            target=str(plan.target),
            mode=plan.mode,
            reason=plan.reason,
            keeps_current=plan.keeps_current,
            needed_bytes=plan.needed_bytes,
            source_path=plan.source,
            is_foreign=plan.is_foreign,
            erasures=ErasureShape.all_of(plan),
            warning=plan.warning,
        )


class RestoredShape(Shape):
    """A restore that was done. `pre_restore_backup`: what was there before, where it was kept."""

    restored: bool
    message: str
    pre_restore_backup: BackupMetadataResponse | None


class RestoreResult(PlanShape, RestoredShape):
    """What was planned and done."""
