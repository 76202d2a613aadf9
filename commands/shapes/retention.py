"""What retention keeps and why, and what goes, as it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from commands.shapes.shape import Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.backups.delete import Deletion
    from commands.retention.apply import RetentionOutcome


class RetentionSummary(Shape):
    """What retention would do: total = protected + to_keep + to_delete."""

    total: int
    protected: int
    to_keep: int
    to_delete: int

    @classmethod
    def of(cls, outcome: RetentionOutcome) -> Self:
        """Counts of a plan."""
        protected = sum(backup.is_protected for backup in outcome.backups.values())
        total, to_delete = len(outcome.backups), len(outcome.plan.deleted)
        return cls(
            total=total,
            protected=protected,
            to_keep=total - protected - to_delete,
            to_delete=to_delete,
        )


class KeptShape(Shape):
    """A backup that stays, with all the reasons."""

    backup_id: str
    filename: str
    reasons: list[str]

    @classmethod
    def all_of(cls, outcome: RetentionOutcome) -> list[Self]:
        return [
            cls(
                backup_id=each.backup_id,
                filename=outcome.backups[each.backup_id].filename,
                reasons=list(each.reasons),
            )
            for each in outcome.plan.kept
        ]


class DeletedShape(Shape):
    """A backup that goes, or is gone."""

    backup_id: str
    filename: str

    @classmethod
    def of(cls, deletion: Deletion) -> Self:
        return cls(backup_id=deletion.backup.backup_id, filename=deletion.backup.filename)


class PlannedDeletion(DeletedShape):
    """A backup that would go, and by which rule."""

    rule: str | None

    @classmethod
    def of(cls, deletion: Deletion) -> Self:
        gone = DeletedShape.of(deletion)
        return cls(backup_id=gone.backup_id, filename=gone.filename, rule=deletion.rule)


class RetentionPlanShape(Shape):
    """What applying would do now, as HTTP shows it."""

    summary: RetentionSummary
    kept: list[KeptShape]
    to_delete: list[PlannedDeletion]

    @classmethod
    def of(cls, outcome: RetentionOutcome) -> Self:
        return cls(
            summary=RetentionSummary.of(outcome),
            kept=KeptShape.all_of(outcome),
            to_delete=[PlannedDeletion.of(each) for each in outcome.deletions],
        )


class DeletedBackups(Shape):
    """What was deleted, or would be, as the command line shows it."""

    deleted: list[DeletedShape]
    deleted_count: int

    @classmethod
    def of(cls, deletions: Sequence[Deletion]) -> Self:
        gone = [DeletedShape.of(each) for each in deletions]
        return cls(deleted=gone, deleted_count=len(gone))


class RetentionShape(Shape):
    """What applying did or would do, as the command line shows it. `scope`: a user or `global`."""

    scope: str
    keep_count: int
    kept: list[KeptShape]
    deleted: list[DeletedShape]
    deleted_count: int

    @classmethod
    def of(cls, outcome: RetentionOutcome, deletions: Sequence[Deletion]) -> Self:
        user_id, gone = outcome.order.user_id, DeletedBackups.of(deletions)
        return cls(
            scope="global" if user_id is None else str(user_id),
            keep_count=outcome.order.keep_count,
            kept=KeptShape.all_of(outcome),
            deleted=gone.deleted,
            deleted_count=gone.deleted_count,
        )


class CleanedUp(Shape):
    """Names of the backups that were deleted."""

    deleted: list[str]
    deleted_count: int

    @classmethod
    def of(cls, deletions: Sequence[Deletion]) -> Self:
        return cls(
            deleted=[each.backup.filename for each in deletions], deleted_count=len(deletions)
        )


class AppliedRetention(CleanedUp):
    """What applying did, as HTTP shows it."""

    message: str
    summary: RetentionSummary
