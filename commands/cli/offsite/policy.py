"""Options of what a destination keeps, and of what its operator knows of a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ledger.vocabulary import GRACE_HOURS

if TYPE_CHECKING:
    from ledger.events.base import ChangedFields


def _number(help_text: str, panel: str = "Retention") -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        metavar="N", min=0, help=help_text, rich_help_panel=panel
    )
    return option


_BUCKET = "What you know of the bucket"
KeepOption = Annotated[
    int | None, _number("Keep the newest N copies of each source and user; 0 keeps every copy.")
]
WithinOption = Annotated[int | None, _number("Keep all of the last N days as well.")]
DailyOption = Annotated[int | None, _number("Keep the newest of each of N days as well.")]
WeeklyOption = Annotated[int | None, _number("... of each of N weeks.")]
MonthlyOption = Annotated[int | None, _number("... of each of N months.")]
YearlyOption = Annotated[int | None, _number("... of each of N years.")]
GraceOption = Annotated[
    int | None, _number(f"Hours between condemning and deleting ({GRACE_HOURS} by default).")
]
PromiseOption = Annotated[
    int | None,
    _number("With a lock: days for which a new copy is promised (half of --lock-days).", _BUCKET),
]
LockOption = Annotated[
    int | None, _number("Object Lock keeps each object for N days from its PUT on.", _BUCKET)
]
NoncurrentOption = Annotated[
    int | None, _number("A rule removes noncurrent versions after N days.", _BUCKET)
]
VersionedOption = Annotated[
    bool | None,
    typer.Option(
        "--versioned/--not-versioned",
        help="The bucket keeps versions: what is deleted is hidden.",
        rich_help_panel=_BUCKET,
    ),
]


def given(**values: int | bool | None) -> ChangedFields:
    """Just what was given on the command line."""
    return {name: value for name, value in values.items() if value is not None}
