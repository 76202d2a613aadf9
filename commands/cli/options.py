"""Arguments and options that several commands have, and how they are read."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

import typer

from commands.reporting import humanize as moments
from ledger.vocabulary import MAX_USER_ID

_INTEGER = re.compile(r"-?[0-9]{1,100}")
_DIGITS = re.compile(r"[0-9]{1,19}")
_PART = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


def parse_user_id(text: str) -> int:
    """A user id as the users table has them: digits only, 1 to 2^63 - 1.

    Raises:
        typer.BadParameter: it is anything else.
    """
    if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= MAX_USER_ID:
        raise typer.BadParameter(f"{text!r} is not a user id; give a positive integer such as 1")
    return int(text)


def parse_integer(text: str | int) -> int:
    """An integer as people write it; whether it is in range is decided, and recorded, later.

    Raises:
        typer.BadParameter: it is none.
    """
    if isinstance(text, int):  # an option's own default comes here, too
        return text
    if not _INTEGER.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not an integer; give one such as 7")
    return int(text)


def parse_moment(text: str) -> datetime:
    """A date or time in UTC; without a zone it means UTC.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return moments.parse_moment(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def parse_time_or_position(text: str) -> datetime | int:
    """A place in the ledger: digits alone are a position; a date means the end of its day.

    Raises:
        typer.BadParameter: it is neither.
    """
    if _DIGITS.fullmatch(text):
        return int(text)
    try:
        return moments.parse_moment_end(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; or a position, such as 17") from None


def parse_part(text: str | None) -> tuple[int, int]:
    """A part as in 2/7: the second of seven; all of it for None.

    Raises:
        typer.BadParameter: it is none.
    """
    if text is None:
        return 1, 1
    found = _PART.fullmatch(text)
    part, parts = (int(each) for each in found.groups()) if found else (0, 0)
    if not 1 <= part <= parts:
        raise typer.BadParameter(
            f"{text!r} is not a part; give one such as 2/7, from 1/7 to 7/7", param_hint="--part"
        )
    return part, parts


UserArgument = Annotated[
    int, typer.Argument(metavar="USER", parser=parse_user_id, help="User id, such as 1.")
]
UserOption = Annotated[
    int | None, typer.Option("--user", metavar="N", parser=parse_user_id, help="Only this user's.")
]
NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="File name (.db may be left out), latest, latest:USER or @TIME."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
RateOption = Annotated[
    float | None,
    typer.Option(
        "--max-mb-per-second", metavar="N", min=0, help="Limit the copying speed; 0: no limit."
    ),
]
LogFormatOption = Annotated[
    str | None,
    typer.Option(
        "--log-format", metavar="text|json", help="json: one JSON object per line on stderr."
    ),
]
NoteOption = Annotated[str | None, typer.Option("--note", help="The reason, for the ledger.")]
