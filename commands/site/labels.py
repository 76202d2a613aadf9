"""Which machine backs up whose database: labels of machines, and of users.

A user who has a label is served by the machines that have it, and by no other; one without is
served by the machines without labels. So nothing is claimed by a machine that cannot do it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_RANGES = 500
"""In one condition of a query; more users than that are given as ranges."""

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_RANGE = re.compile(r"([0-9]{1,19})(?:-([0-9]{1,19}))?")
_LARGEST = 2**63 - 1

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Served:
    """Users that a machine serves: those within the ranges, or all others (`is_rest`)."""

    ranges: tuple[Range, ...]
    is_rest: bool

    def __contains__(self, user_id: int) -> bool:
        return self.is_rest != any(first <= user_id <= last for first, last in self.ranges)


def served_users(labels: Sequence[str], label_users: Mapping[str, str]) -> Served | None:
    """Whom a machine with these labels serves; None for everybody."""
    if not label_users:
        return None
    chosen = labels or label_users
    ranges = [each for label in chosen for each in parse_users(label_users[label])]
    return Served(_merged(ranges), is_rest=not labels)


def check_labels(labels: Iterable[str], label_users: Mapping[str, str]) -> None:
    """Make sure that they can be used.

    Raises:
        ValueError: says which label or range is wrong, and how it should be.
    """
    for label in label_users:
        if not _LABEL.fullmatch(label):
            raise ValueError(f"{label!r} is not a label; give letters, digits, '.', '_', '-'")
    ranges = [each for users in label_users.values() for each in parse_users(users)]
    if len(_merged(ranges)) > MAX_RANGES:
        raise ValueError(f"label_users has more than {MAX_RANGES} ranges; give them as 1-999")
    for label in labels:
        if label not in label_users:
            known = ", ".join(label_users) or "none"
            raise ValueError(f"label {label!r} has no users in label_users (there are: {known})")


def parse_users(text: str) -> list[Range]:
    """Ranges of user ids, as "1-999, 2001".

    Raises:
        ValueError: the text is anything else.
    """
    ranges = []
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        first = int(found[1]) if found else 0
        last = int(found[2] or found[1]) if found else 0
        if not 1 <= first <= last <= _LARGEST:
            raise ValueError(f"{part.strip()!r} is not a range of users; give something like 1-999")
        ranges.append((first, last))
    return ranges


def _merged(ranges: Iterable[Range]) -> tuple[Range, ...]:
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)
