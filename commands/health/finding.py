"""One thing that is not all right, and what a finder of such things gets to see."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from commands.site.site import Site

MAX_NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What a person should look at.

    `kind`: a word for programs, and for the console's links. `text`: what it is, and which one.
    `advice`: what helps, with the command. `is_bad`: something is lost or wrong, not only late.
    """

    kind: str
    text: str
    advice: str
    is_bad: bool = False

    def __str__(self) -> str:
        if self.text.endswith(("?", ".")):
            return f"{self.text} {self.advice[:1].upper()}{self.advice[1:]}"
        return f"{self.text}; {self.advice}"


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a site: its facts as `status --json` shows them, and where to ask for more."""

    site: Site
    now: datetime
    facts: dict[str, Any]
    connection: Connection
    """To the read models."""


Finder = Callable[[Look], Iterable[Finding]]
"""Names what is not all right, of one kind or a few; nothing where all is well."""


def named(names: list[str], number: int | None = None) -> str:
    """The first few names, after a colon; `number`: of all, where the list is cut."""
    shown = ", ".join(names[:MAX_NAMES_SHOWN])
    total = len(names) if number is None else number
    return f": {shown}{' and more' if total > MAX_NAMES_SHOWN else ''}" if names else ""
