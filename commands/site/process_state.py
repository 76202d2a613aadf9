"""What a process remembers between two checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date


@dataclass(slots=True)
class DrillDay:
    """What this process knows of a day's drills, so that it need not ask at every check."""

    day: date
    is_done: bool = False
    failed: set[str] = field(default_factory=set)
    """Shared files that could not be checked today; tried again tomorrow."""
