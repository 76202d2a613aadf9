"""What a check of a backup came to, as it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from commands.shapes.shape import Shape

if TYPE_CHECKING:
    from commands.verification.verify import Verification


class VerificationShape(Shape):
    """`problem`: what is wrong with the backup. `failure`: why it could not be checked.

    `unchecked`: the tables of which the level says nothing, as what they need is missing here.
    """

    backup_id: str
    filename: str
    level: str
    ok: bool
    problem: str | None
    failure: str | None
    expected_sha256: str
    found_sha256: str | None
    unchecked: list[str]

    @classmethod
    def of(cls, found: Verification) -> Self:
        return cls(
            backup_id=found.backup.backup_id,
            filename=found.backup.filename,
            level=found.level,
            ok=found.is_good,
            problem=found.problem,
            failure=found.failure,
            expected_sha256=found.backup.sha256,
            found_sha256=found.found_sha256,
            unchecked=list(found.unchecked),
        )
