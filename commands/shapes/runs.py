"""A run of the scheduler as it is shown."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Self

from commands.shapes.shape import Shape

if TYPE_CHECKING:
    from projections.folds.run import Run


class RunShape(Shape):
    """The columns of the `backup_runs` table."""

    run_id: str
    user_id: int
    slot: datetime
    attempt: int
    outcome: str
    backup_id: str | None
    started_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    error_type: str | None
    error_message: str | None
    position: int

    @classmethod
    def of(cls, run: Run) -> Self:
        return cls.model_validate(run)


class RunPage(Shape):
    """The newest first. `next_cursor`: null at the end."""

    runs: list[RunShape]
    next_cursor: int | None
