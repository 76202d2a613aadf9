"""Where a read model differs from what the ledger adds up to, as it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from commands.shapes.shape import Shape

if TYPE_CHECKING:
    from projections.projector.comparison import Difference


class DifferenceShape(Shape):
    """A row that is missing, unexpected or different. `key`: of the row, by column."""

    table: str
    key: Any
    problem: str
    column: str | None
    expected: Any
    found: Any

    @classmethod
    def of(cls, difference: Difference) -> Self:
        return cls.model_validate(difference)
