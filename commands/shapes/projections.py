"""Where read models stand, and where one differs from the ledger, as it is shown."""

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


class StandingShape(Shape):
    """One generation of a read model. `name`: with @version where it does not serve."""

    name: str
    version: int
    state: str
    position: int
    lag: int
    rows: int | None
    root: str | None
    problem: str | None


class StandingList(Shape):
    projections: list[StandingShape]


class RebuiltShape(Shape):
    """A read model that was folded anew."""

    name: str
    version: int
    position: int
    rows: int
    reason: str


class Comparison(Shape):
    """`count`: of all differences; the list is cut at a thousand."""

    ok: bool
    count: int
    differences: list[DifferenceShape]
