"""One thing that a person should know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.clock import format_instant

if TYPE_CHECKING:
    from datetime import datetime

    from commands.site.topics import Topic


@dataclass(frozen=True, slots=True)
class Incident:
    """In a sentence, and the command that shows more. `page`: of the console, where one does."""

    topic: Topic
    text: str
    advice: str
    page: str | None = None


def shown(moment: datetime) -> str:
    """A time in a message."""
    return format_instant(moment)[:16].replace("T", " ") + " UTC"
