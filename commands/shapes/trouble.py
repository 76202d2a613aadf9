"""What needs attention, as programs get it: findings, and the causes of failed runs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Self

from commands.shapes.shape import Shape

if TYPE_CHECKING:
    from commands.health.causes import Cause


class FindingShape(Shape):
    """`kind`: a word for programs. `is_bad`: something is lost or wrong, and not only late."""

    kind: str
    text: str
    advice: str
    is_bad: bool


class CauseShape(Shape):
    """Failed runs of one cause; those days are of UTC, as 2025-11-08, the oldest first.

    `user_ids`: the first hundred. `still_failing`: users whose last run failed with it; where
    there is none, it is over.
    """

    sentence: str
    error_type: str
    message: str
    runs: int
    users: int
    user_ids: list[int]
    first_at: datetime
    last_at: datetime
    days: list[str]
    still_failing: int

    @classmethod
    def of(cls, cause: Cause) -> Self:
        return cls.model_validate(cause.as_json())


class TroubleShape(Shape):
    """The verdict of `status`, its findings, and why runs failed."""

    warnings: list[str]
    verdict: str
    findings: list[FindingShape]
    not_looked_at: list[str]
    causes: list[CauseShape]


class RanNowShape(Shape):
    """What running what waits came to, in runs and users.

    `taken`: users who had no retry left and got a backup. `left`: users whose next run is the next
    try. `problem`: the first.
    """

    completed: int
    failed: int
    taken: int
    left: int
    problem: str | None


class BadBackup(Shape):
    """A backup that is not good, or could not be checked, and why."""

    filename: str
    problem: str | None


class DueVerified(Shape):
    """What verifying the backups that are due came to. `ok`: none was bad."""

    ok: bool
    good: int
    bad: list[BadBackup]


class ReconciledShape(Shape):
    """File names by what became of each when the folder was compared with the catalog.

    `adopted`: taken into the ledger. `missing`: not in the folder. `back`: there again.
    `left_alone`: not backups.
    """

    adopted: list[str]
    missing: list[str]
    back: list[str]
    left_alone: list[str]
