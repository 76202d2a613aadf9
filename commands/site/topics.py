"""The topics that notifications can be wanted for."""

from __future__ import annotations

from typing import Literal, get_args

Topic = Literal[
    "failed",
    "abandoned",
    "corrupt",
    "missing",
    "warning",
    "restore",
    "overdue",
    "low_space",
    "offsite",
    "history",
]

TOPICS: tuple[Topic, ...] = get_args(Topic)
