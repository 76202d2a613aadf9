"""Options of what a destination keeps, and of what its operator knows of a bucket."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

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
WithinOption = Annotated[int | None, _number("Also keep every copy of the last N days.")]
DailyOption = Annotated[int | None, _number("Also keep one copy per day, for N days.")]
WeeklyOption = Annotated[int | None, _number("... one per week, for N weeks.")]
MonthlyOption = Annotated[int | None, _number("... one per month, for N months.")]
YearlyOption = Annotated[int | None, _number("... one per year, for N years.")]
GraceOption = Annotated[
    int | None, _number(f"Hours between condemning and deleting ({GRACE_HOURS} by default).")
]
PromiseOption = Annotated[
    int | None,
    _number(
        "With a lock: for how many days a new copy is sure to stay [default: half of --lock-days].",
        _BUCKET,
    ),
]
LockOption = Annotated[
    int | None, _number("Object Lock keeps each object for N days after its PUT.", _BUCKET)
]
NoncurrentOption = Annotated[
    int | None, _number("The bucket's rule removes noncurrent versions after N days.", _BUCKET)
]
VersionedOption = Annotated[
    bool | None,
    typer.Option(
        "--versioned/--not-versioned",
        help="Whether the bucket keeps versions, which hides deleted objects instead.",
        rich_help_panel=_BUCKET,
    ),
]


SETTINGS: dict[str, Any] = {
    "keep": KeepOption,
    "keep_within_days": WithinOption,
    "keep_daily": DailyOption,
    "keep_weekly": WeeklyOption,
    "keep_monthly": MonthlyOption,
    "keep_yearly": YearlyOption,
    "grace_hours": GraceOption,
    "promise_days": PromiseOption,
}
STATED: dict[str, Any] = {
    "versioned": VersionedOption,
    "lock_days": LockOption,
    "noncurrent_days": NoncurrentOption,
}


def with_policy(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; it gets `settings` and `stated`, with just what was given."""

    @wraps(command)
    def called(**values: Any) -> None:
        settings, stated = (_taken(values, options) for options in (SETTINGS, STATED))
        command(**values, settings=settings, stated=stated)

    hints = get_type_hints(command, include_extras=True)
    own = [
        each.replace(annotation=hints[name], kind=Parameter.KEYWORD_ONLY)
        for name, each in signature(command).parameters.items()
        if name not in ("settings", "stated")
    ]
    added = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in (SETTINGS | STATED).items()
    ]
    called.__signature__ = Signature([*own, *added])  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in (*own, *added)}
    return called


def _taken(values: dict[str, Any], options: dict[str, Any]) -> ChangedFields:
    taken = {name: values.pop(name) for name in options}
    return {name: value for name, value in taken.items() if value is not None}
